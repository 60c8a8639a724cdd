-- The first schema. Plain SQL for every back end; what differs between TimescaleDB and plain PostgreSQL
-- (how positions are cut by time) is done by store.partitions after the migrations.

CREATE TABLE organizations (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name <> ''),
    parent_id   integer REFERENCES organizations,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- A vehicle is known by plate and plate colour. Without a plate yet (plate_color 0) the plate column holds the VIN or ''.
CREATE TABLE vehicles (
    id                   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plate                text NOT NULL,
    plate_color          smallint NOT NULL DEFAULT 0,
    vin                  text,
    vehicle_type         text,
    organization_id      integer REFERENCES organizations,
    speed_limit_kmh      real CHECK (speed_limit_kmh > 0),          -- NULL: the engine's default
    overspeed_duration_s real CHECK (overspeed_duration_s >= 0),    -- NULL: the engine's default
    offline_after_s      real CHECK (offline_after_s > 0),          -- NULL: the engine's default
    note                 text NOT NULL DEFAULT '',
    created_at           timestamptz NOT NULL DEFAULT now(),
    updated_at           timestamptz NOT NULL DEFAULT now(),
    retired_at           timestamptz                                -- taken out of service; history stays
);
CREATE UNIQUE INDEX vehicles_plate ON vehicles (plate, plate_color) WHERE plate <> '' AND retired_at IS NULL;
CREATE INDEX vehicles_organization ON vehicles (organization_id);

CREATE TABLE terminals (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    phone            text NOT NULL UNIQUE CHECK (phone <> ''),      -- fleet.canonical_phone
    vehicle_id       integer REFERENCES vehicles,                   -- where it is now; NULL: in stock or pending
    standing         text NOT NULL DEFAULT 'approved' CHECK (standing IN ('approved', 'pending', 'blocked')),
    manufacturer_id  text NOT NULL DEFAULT '',
    terminal_model   text NOT NULL DEFAULT '',
    terminal_id      text NOT NULL DEFAULT '',                      -- the maker's id (终端 ID)
    edition          text NOT NULL DEFAULT '',
    province_id      integer,
    city_id          integer,
    claimed_plate    text NOT NULL DEFAULT '',                      -- what its last registration said
    claimed_plate_color smallint NOT NULL DEFAULT 0,
    imei             text NOT NULL DEFAULT '',
    software_version text NOT NULL DEFAULT '',
    auth_code_hash   bytea,                                         -- sha256; NULL: has to register
    auth_issued_us   bigint NOT NULL DEFAULT 0,                     -- newest registration wins, gateway and database alike
    last_refused_at  timestamptz,
    last_refusal     text NOT NULL DEFAULT '',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX terminals_vehicle ON terminals (vehicle_id);

-- Which vehicle a terminal was in, from when on. History stays with the vehicle it was in at that time.
CREATE TABLE terminal_bindings (
    terminal_id  integer NOT NULL REFERENCES terminals ON DELETE CASCADE,
    from_time    timestamptz NOT NULL,
    vehicle_id   integer NOT NULL REFERENCES vehicles,
    PRIMARY KEY (terminal_id, from_time)
);

-- One row per distinct fix. The unique key is what makes a resend, a replay or a restart store nothing twice; its first
-- two columns serve the track of a vehicle. Partitioned by time (store.partitions adds the clause or the hypertable).
CREATE TABLE positions (
    vehicle_id              integer NOT NULL,
    time                    timestamptz NOT NULL,
    terminal_id             integer NOT NULL,
    fix_hash                bigint NOT NULL,
    journal_offset          bigint NOT NULL,
    received_at             timestamptz NOT NULL,
    latitude_deg            double precision NOT NULL,
    longitude_deg           double precision NOT NULL,
    altitude_m              integer NOT NULL,
    speed_kmh               real NOT NULL,
    heading_deg             integer NOT NULL,
    alarm_flags             bigint NOT NULL,
    status_flags            bigint NOT NULL,
    late                    boolean NOT NULL,
    message_id              integer NOT NULL,
    -- additional items, NULL where the report did not carry them: fleet.ITEM_COLUMNS, in that order
    mileage_km              double precision,
    fuel_l                  real,
    recorder_speed_kmh      real,
    alarm_event_id          integer,
    temperature_c           integer,
    overspeed_area_type     smallint,
    overspeed_area_id       bigint,
    area_alarm_type         smallint,
    area_alarm_area_id      bigint,
    area_alarm_is_exit      smallint,
    segment_id              bigint,
    segment_time_s          integer,
    segment_is_too_long     smallint,
    video_alarm_flags       bigint,
    video_lost_channels     bigint,
    video_covered_channels  bigint,
    video_storage_faults    integer,
    abnormal_driving_flags  integer,
    fatigue_degree          smallint,
    vehicle_signals         bigint,
    io_status               integer,
    analog_0                integer,
    analog_1                integer,
    signal_strength         smallint,
    satellites              smallint,
    other_items             bytea                                    -- verbatim: id, length, value, ...
) /*PARTITION BY RANGE (time)*/;
CREATE UNIQUE INDEX positions_fix ON positions (vehicle_id, time, terminal_id, fix_hash);
CREATE INDEX positions_journal ON positions USING brin (journal_offset) WITH (pages_per_range = 64, autosummarize = on);

CREATE TABLE latest_positions (
    vehicle_id      integer PRIMARY KEY,
    time            timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    terminal_id     integer NOT NULL,
    latitude_deg    double precision NOT NULL,
    longitude_deg   double precision NOT NULL,
    altitude_m      integer NOT NULL,
    speed_kmh       real NOT NULL,
    heading_deg     integer NOT NULL,
    alarm_flags     bigint NOT NULL,
    status_flags    bigint NOT NULL,
    mileage_km      double precision
) WITH (fillfactor = 50);

-- How far each journal is stored; moves in the same transaction as the data.
CREATE TABLE journal_offsets (
    journal     text PRIMARY KEY,
    "offset"    bigint NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE quarantine (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    phone        text NOT NULL,
    edition      text NOT NULL,
    message_id   integer NOT NULL,
    serial_no    integer NOT NULL,
    reason       text NOT NULL,
    detail       text NOT NULL,
    body         bytea NOT NULL
);
CREATE INDEX quarantine_received ON quarantine (received_at);

-- Uplink messages that nothing of ours reads yet, verbatim.
CREATE TABLE terminal_messages (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    phone        text NOT NULL,
    edition      text NOT NULL,
    message_id   integer NOT NULL,
    serial_no    integer NOT NULL,
    body         bytea NOT NULL
);
CREATE INDEX terminal_messages_phone ON terminal_messages (phone, received_at);

-- Who is on-line, and the log of links.
CREATE TABLE terminal_presence (
    phone       text PRIMARY KEY,
    online      boolean NOT NULL,
    since       timestamptz NOT NULL,
    peer        text NOT NULL,
    transport   text NOT NULL,
    edition     text NOT NULL,
    reason      text NOT NULL
);
CREATE TABLE session_log (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time        timestamptz NOT NULL,
    phone       text NOT NULL,
    online      boolean NOT NULL,
    peer        text NOT NULL,
    transport   text NOT NULL,
    edition     text NOT NULL,
    reason      text NOT NULL
);
CREATE INDEX session_log_phone ON session_log (phone, time);

-- Alarms are episodes. The id is made from vehicle, rule and begin, so a replay makes no twin.
CREATE TABLE alarms (
    id             uuid PRIMARY KEY,
    vehicle_id     integer NOT NULL REFERENCES vehicles,
    terminal_id    integer,
    rule           text NOT NULL,
    severity       smallint NOT NULL CHECK (severity BETWEEN 1 AND 4),
    source         text NOT NULL CHECK (source IN ('terminal', 'platform', 'superior')),
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'claimed', 'handled', 'false', 'closed')),
    late           boolean NOT NULL DEFAULT false,
    begin_time     timestamptz NOT NULL,
    end_time       timestamptz,
    updated_time   timestamptz NOT NULL,
    latitude_deg   double precision,                               -- where it began
    longitude_deg  double precision,
    speed_kmh      real,
    facts          jsonb NOT NULL DEFAULT '{}',
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    claimed_by     integer,
    claimed_at     timestamptz,
    handled_by     integer,
    handled_at     timestamptz,
    handle_code    text,
    handle_text    text
);
CREATE INDEX alarms_vehicle ON alarms (vehicle_id, begin_time);
CREATE INDEX alarms_queue ON alarms (state, severity, begin_time);
CREATE INDEX alarms_begin ON alarms (begin_time);
CREATE INDEX alarms_running ON alarms (vehicle_id) WHERE end_time IS NULL;

-- Every step of the handling, with who and when.
CREATE TABLE alarm_steps (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id   uuid NOT NULL REFERENCES alarms ON DELETE CASCADE,
    time       timestamptz NOT NULL DEFAULT now(),
    user_id    integer,
    action     text NOT NULL,
    from_state text NOT NULL,
    to_state   text NOT NULL,
    code       text,
    text       text
);
CREATE INDEX alarm_steps_alarm ON alarm_steps (alarm_id, id);

-- What the rules remember between batches; written with the batch.
CREATE TABLE rule_states (
    vehicle_id  integer NOT NULL,
    rule        text NOT NULL,
    is_late     boolean NOT NULL,
    state       jsonb NOT NULL,
    PRIMARY KEY (vehicle_id, rule, is_late)
);

CREATE TABLE geofences (
    id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CHECK (name <> ''),
    shape       text NOT NULL CHECK (shape IN ('polygon', 'circle')),
    trigger     text NOT NULL DEFAULT 'both' CHECK (trigger IN ('enter', 'leave', 'both')),
    points      jsonb NOT NULL DEFAULT '[]',                        -- [[latitude_deg, longitude_deg], ...] polygon corners
    center      jsonb,                                              -- [latitude_deg, longitude_deg] circle
    radius_m    double precision CHECK (radius_m > 0),
    vehicle_ids integer[],                                          -- NULL: every vehicle
    enabled     boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- A command to a terminal is a row first.
CREATE TABLE commands (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    vehicle_id    integer NOT NULL REFERENCES vehicles,
    phone         text NOT NULL,                                    -- the terminal it goes to
    kind          text NOT NULL,                                    -- text, locate, ...
    payload       jsonb NOT NULL DEFAULT '{}',
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN
                  ('queued', 'sent', 'acknowledged', 'answered', 'refused', 'timed_out', 'expired', 'failed')),
    reason        text NOT NULL DEFAULT '',                         -- why it failed, in words
    created_by    integer,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    sent_at       timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    message_id    integer,                                          -- of the 808 message sent
    serial_no     integer,
    result        integer,                                          -- of the 0x0001
    answer        jsonb                                             -- decoded body of the dedicated answer
);
CREATE INDEX commands_vehicle ON commands (vehicle_id, created_at);
CREATE INDEX commands_live ON commands (phone, state) WHERE state IN ('queued', 'sent');
CREATE INDEX commands_serial_no ON commands (phone, serial_no) WHERE serial_no IS NOT NULL;  -- whose answer is this?

CREATE TABLE users (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username      text NOT NULL UNIQUE CHECK (username <> ''),
    display_name  text NOT NULL DEFAULT '',
    role          text NOT NULL DEFAULT 'operator' CHECK (role IN ('admin', 'operator', 'viewer')),
    password_hash text NOT NULL,
    disabled      boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE user_sessions (
    token_hash  bytea PRIMARY KEY,                                  -- sha256 of the cookie
    user_id     integer NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    peer        text NOT NULL DEFAULT ''
);

CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time     timestamptz NOT NULL DEFAULT now(),
    user_id  integer,
    username text NOT NULL DEFAULT '',
    peer     text NOT NULL DEFAULT '',
    action   text NOT NULL,                                         -- "vehicle.create", "session.sign_in", ...
    target   text NOT NULL DEFAULT '',
    detail   jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_time ON audit (time);

-- Superior platforms (上级平台) we forward to over JT/T 809, and how far each has it for certain.
CREATE TABLE platforms (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (name <> ''),
    enabled         boolean NOT NULL DEFAULT true,
    edition         text NOT NULL DEFAULT '2011' CHECK (edition IN ('2011')),
    host            text NOT NULL,
    port            integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    access_code     bigint NOT NULL,                                -- MSG_GNSSCENTERID, given by the superior platform
    user_id         bigint NOT NULL,
    password        text NOT NULL,
    platform_id     text NOT NULL DEFAULT '',                       -- our PLATFORM_ID, 11 characters
    supplement      boolean NOT NULL DEFAULT true,                  -- 0x1201 as the supplement of 2013 has it; false: as in 2011
    sub_link_host   text NOT NULL DEFAULT '127.0.0.1',              -- what we tell it to connect back to
    sub_link_port   integer,                                        -- NULL: the port we listen on
    encrypt         boolean NOT NULL DEFAULT false,
    m1              bigint NOT NULL DEFAULT 0,
    ia1             bigint NOT NULL DEFAULT 0,
    ic1             bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE forward_cursors (
    platform_id     integer PRIMARY KEY REFERENCES platforms ON DELETE CASCADE,
    "offset"        bigint NOT NULL,                                -- journal_offset up to which all was received there
    updated_at      timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE platform_link_log (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    time         timestamptz NOT NULL DEFAULT now(),
    platform_id  integer NOT NULL REFERENCES platforms ON DELETE CASCADE,
    link         text NOT NULL CHECK (link IN ('main', 'sub')),
    event        text NOT NULL,                                     -- "up", "down", "refused"
    detail       text NOT NULL DEFAULT ''
);

-- Who caches these tables listens on roadwarden_fleet and reads again; the payload is the table's name.
CREATE FUNCTION notify_fleet() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('roadwarden_fleet', TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER vehicles_changed AFTER INSERT OR UPDATE OR DELETE ON vehicles
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet();
CREATE TRIGGER terminals_changed AFTER INSERT OR UPDATE OR DELETE ON terminals
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet();
CREATE TRIGGER geofences_changed AFTER INSERT OR UPDATE OR DELETE ON geofences
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet();
CREATE TRIGGER platforms_changed AFTER INSERT OR UPDATE OR DELETE ON platforms
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet();
CREATE FUNCTION notify_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('roadwarden_commands', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER command_queued AFTER INSERT ON commands FOR EACH ROW EXECUTE FUNCTION notify_command();
