-- A journal that is made anew (a lost disk, a restored backup) counts its groups from 1 again, while the cursors of
-- superior platforms stand where the journal before it had come to: nothing would be forwarded until it has caught up.
-- So positions, cursors and events count through all journals: begins_after + "offset".
ALTER TABLE journal_offsets ADD COLUMN begins_after bigint NOT NULL DEFAULT 0;

UPDATE journal_offsets AS journal SET begins_after = (
    SELECT coalesce(max(older."offset"), 0) FROM journal_offsets AS older
    WHERE older.journal <> journal.journal AND older.updated_at < journal.updated_at
);
