-- How long a terminal may be silent before its link is ended, by maker and model; '' stands for every one. The closest
-- row wins: model and maker, model, maker, all; a terminal's own idle_s before any of them.
CREATE TABLE link_limits (
    id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    manufacturer_id  text NOT NULL DEFAULT '',
    terminal_model   text NOT NULL DEFAULT '',
    idle_s           real NOT NULL CHECK (idle_s BETWEEN 10 AND 86400),
    note             text NOT NULL DEFAULT '',
    updated_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (manufacturer_id, terminal_model)
);
CREATE TRIGGER link_limits_changed AFTER INSERT OR UPDATE OR DELETE ON link_limits
    FOR EACH STATEMENT EXECUTE FUNCTION notify_fleet();

ALTER TABLE terminals
    ADD COLUMN idle_s real CHECK (idle_s BETWEEN 10 AND 86400),  -- NULL: as link_limits has it, or the setting
    ADD COLUMN former_imei text NOT NULL DEFAULT '',             -- before it logged in with another one
    ADD COLUMN imei_changed_at timestamptz;
