-- Commands to many vehicles, dangerous ones that wait for a second word, answers found by the row itself, upgrades that
-- go on where they were.

ALTER TABLE users ADD COLUMN dangerous_commands boolean NOT NULL DEFAULT false; -- may give and confirm dangerous commands

CREATE TABLE command_groups (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind          text NOT NULL,
    payload       jsonb NOT NULL DEFAULT '{}',
    target        jsonb NOT NULL DEFAULT '{}',                      -- who was meant, as it was asked for
    vehicles      integer NOT NULL DEFAULT 0,                       -- commands that were made
    skipped       integer NOT NULL DEFAULT 0,                       -- vehicles without an approved terminal
    rate_per_s    real NOT NULL CHECK (rate_per_s > 0),
    created_by    integer,
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    confirm_by    timestamptz,                                      -- NULL: needs no second word
    confirmed_by  integer,
    confirmed_at  timestamptz,
    cancelled_by  integer,
    cancelled_at  timestamptz
);
CREATE INDEX command_groups_created ON command_groups (created_at, id);

ALTER TABLE commands DROP CONSTRAINT commands_state_check;
ALTER TABLE commands ADD CONSTRAINT commands_state_check CHECK (state IN
    ('awaiting_confirmation', 'queued', 'sent', 'acknowledged', 'answered', 'refused', 'timed_out', 'expired', 'failed',
     'cancelled'));
ALTER TABLE commands
    ADD COLUMN group_id        uuid REFERENCES command_groups,
    ADD COLUMN confirm_by      timestamptz,                         -- awaiting_confirmation: until when
    ADD COLUMN confirmed_by    integer,
    ADD COLUMN confirmed_at    timestamptz,
    ADD COLUMN parked          boolean NOT NULL DEFAULT false,      -- queued: the terminal was off-line when it was tried
    ADD COLUMN package_count   integer NOT NULL DEFAULT 1,          -- it has the serial numbers serial_no .. + package_count - 1
    ADD COLUMN retry_at        timestamptz,                         -- sent: when it is sent again, or given up
    ADD COLUMN answer_ids      integer[] NOT NULL DEFAULT '{}',     -- dedicated answers that close it
    ADD COLUMN answer_within_s real,
    ADD COLUMN answer_by       timestamptz,                         -- acknowledged: until when such an answer may come
    ADD COLUMN progress        jsonb;                               -- of upgrades and of media

CREATE INDEX commands_due ON commands (retry_at) WHERE state = 'sent';
CREATE INDEX commands_ready ON commands (created_at, id) WHERE state = 'queued' AND NOT parked AND group_id IS NULL;
CREATE INDEX commands_group_ready ON commands (group_id, id) WHERE state = 'queued' AND NOT parked AND group_id IS NOT NULL;
CREATE INDEX commands_expiry ON commands (expires_at) WHERE state = 'queued';
CREATE INDEX commands_confirm_by ON commands (confirm_by) WHERE state = 'awaiting_confirmation';
CREATE INDEX commands_answer_by ON commands (answer_by) WHERE state = 'acknowledged' AND answer_by IS NOT NULL;
CREATE INDEX commands_group ON commands (group_id, state) WHERE group_id IS NOT NULL;
CREATE INDEX commands_created ON commands (created_at, id);
CREATE INDEX commands_sent ON commands (phone, sent_at) WHERE sent_at IS NOT NULL;             -- answers without a serial number

-- How far the packages of a long message have come.
CREATE TABLE command_transfers (
    command_id    uuid PRIMARY KEY REFERENCES commands ON DELETE CASCADE,
    next_package  integer NOT NULL DEFAULT 1,                       -- of this pass, from 1
    acknowledged  int4multirange NOT NULL DEFAULT '{}',             -- packages that the terminal confirmed
    asked         int4multirange NOT NULL DEFAULT '{}'              -- packages that it asked for and that did not go out since
);

CREATE TABLE firmware (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL CHECK (name <> ''),
    upgrade_type    integer NOT NULL CHECK (upgrade_type BETWEEN 0 AND 255),
    manufacturer_id text NOT NULL DEFAULT '',
    version         text NOT NULL CHECK (version <> ''),
    size_bytes      bigint NOT NULL CHECK (size_bytes > 0),
    sha256          text NOT NULL,                                  -- the file's name under the data directory
    note            text NOT NULL DEFAULT '',
    created_by      integer,
    created_at      timestamptz NOT NULL DEFAULT now(),
    retired_at      timestamptz
);
CREATE UNIQUE INDEX firmware_version ON firmware (upgrade_type, manufacturer_id, version) WHERE retired_at IS NULL;

-- Only what can be sent wakes the desk; a group does it once.
DROP TRIGGER command_queued ON commands;
CREATE TRIGGER command_queued AFTER INSERT ON commands FOR EACH ROW
    WHEN (NEW.group_id IS NULL AND NEW.state = 'queued') EXECUTE FUNCTION notify_command();
CREATE TRIGGER command_confirmed AFTER UPDATE OF state ON commands FOR EACH ROW
    WHEN (NEW.group_id IS NULL AND NEW.state = 'queued' AND OLD.state = 'awaiting_confirmation')
    EXECUTE FUNCTION notify_command();
CREATE TRIGGER command_group_changed AFTER INSERT OR UPDATE ON command_groups FOR EACH ROW
    EXECUTE FUNCTION notify_command();
