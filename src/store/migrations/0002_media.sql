-- What terminals recorded and sent up (0x0801). The bytes are in a file below the data directory, named by their hash:
-- several rows may share one. A row is written after its file, and a file is removed after its last row.
CREATE TABLE media (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    vehicle_id         integer REFERENCES vehicles,                 -- NULL: the terminal was in no vehicle
    terminal_id        integer,
    phone              text NOT NULL,
    edition            text NOT NULL,
    media_id           bigint NOT NULL,                             -- the terminal's own number
    kind               smallint NOT NULL,                           -- 0 image, 1 audio, 2 video
    format             smallint NOT NULL,
    event              smallint NOT NULL,
    channel            smallint NOT NULL,
    time               timestamptz NOT NULL,                        -- of the recording
    is_time_of_receipt boolean NOT NULL,                            -- it gave none that can be believed
    received_at        timestamptz NOT NULL,
    latitude_deg       double precision,
    longitude_deg      double precision,
    speed_kmh          real,
    heading_deg        integer,
    alarm_flags        bigint,
    status_flags       bigint,
    size_bytes         bigint NOT NULL,
    sha256             bytea NOT NULL,                              -- of the content
    suffix             text NOT NULL,                               -- of the file's name
    upload_key         bytea NOT NULL,                              -- the same upload once
    command_id         uuid REFERENCES commands ON DELETE SET NULL, -- that asked for it
    content            bytea                                        -- only until it can be written to its file
);
CREATE UNIQUE INDEX media_upload ON media (phone, upload_key);
CREATE INDEX media_time ON media (time, id);
CREATE INDEX media_vehicle ON media (vehicle_id, time, id);
CREATE INDEX media_received ON media (received_at, id);
CREATE INDEX media_content ON media (sha256);
CREATE INDEX media_command ON media (command_id) WHERE command_id IS NOT NULL;
CREATE INDEX media_unfiled ON media (id) WHERE content IS NOT NULL;
ALTER TABLE media ALTER content SET STORAGE EXTERNAL;               -- pictures do not get smaller

-- What terminals said they recorded (0x0800), whether or not it was sent up.
CREATE TABLE media_reports (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    vehicle_id   integer REFERENCES vehicles,
    terminal_id  integer,
    phone        text NOT NULL,
    media_id     bigint NOT NULL,
    kind         smallint NOT NULL,
    format       smallint NOT NULL,
    event        smallint NOT NULL,
    channel      smallint NOT NULL
);
CREATE INDEX media_reports_received ON media_reports (received_at, id);
CREATE INDEX media_reports_phone ON media_reports (phone, media_id, received_at);
