"""Media: rows in the pipeline's transaction, lists for people, and what the janitor needs to know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from fleet import CommandChanged
from fleet.media import Media, MediaReport, file_name
from store.values import clean_text, to_datetime

_SELECT: Final = """
SELECT m.id, m.vehicle_id, v.plate, v.plate_color, m.phone, m.media_id, m.kind, m.format, m.event, m.channel, m.time,
       m.is_time_of_receipt, m.received_at, m.latitude_deg, m.longitude_deg, m.speed_kmh, m.heading_deg, m.alarm_flags,
       m.status_flags, m.size_bytes, m.sha256, m.suffix, m.command_id
FROM media m LEFT JOIN vehicles v ON v.id = m.vehicle_id"""

# The command that an upload answers: one that names it (0x8805; 0x8801 by the media ids of its 0x0805), else the newest
# that asked this terminal for such a thing, not too long before: 0x8801 shoot, 0x8803 upload what fits, 0x8804 record.
_COMMAND: Final = """
(SELECT c.id FROM commands c,
 LATERAL (SELECT coalesce((jsonb_path_query_first(c.payload, '$.interval_s ? (@ > 0)'))::float8, 0) *
                 coalesce((jsonb_path_query_first(c.payload, '$.count ? (@ > 1)'))::float8, 1) +
                 coalesce((jsonb_path_query_first(c.payload, '$.duration_s ? (@ > 0)'))::float8, 0) AS seconds,
                 c.answer->'media_ids' AS named, coalesce(c.payload->>'channel', '0') AS channel) AS asked
 WHERE c.phone = n.phone AND c.message_id IN (34817, 34819, 34820, 34821) AND c.attempts > 0
 AND c.sent_at BETWEEN n.received_at - interval '1 day' AND n.received_at + interval '1 minute'
 AND CASE c.message_id
     WHEN 34821 THEN c.payload->>'media_id' = n.media_id::text
     WHEN 34819 THEN (c.sent_at > n.received_at - interval '1 hour' OR c.answer_by > n.received_at)
          AND asked.channel IN ('0', n.channel::text)
          AND c.payload->>'media' IS NOT DISTINCT FROM (ARRAY['image', 'audio', 'video'])[n.kind + 1]
     WHEN 34820 THEN n.kind = 1 AND c.sent_at > n.received_at - make_interval(secs => 3600 + asked.seconds)
     ELSE CASE WHEN jsonb_typeof(asked.named) = 'array' THEN asked.named @> to_jsonb(n.media_id)
          ELSE n.event = 0 AND n.kind <> 1 AND asked.channel IN ('0', n.channel::text)
               AND c.sent_at > n.received_at - make_interval(secs => 600 + asked.seconds) END
     END
 ORDER BY c.message_id = 34821 OR c.message_id = 34817 AND asked.named IS NOT NULL DESC, c.sent_at DESC LIMIT 1)"""

_INSERT: Final = f"""
INSERT INTO media (vehicle_id, terminal_id, phone, edition, media_id, kind, format, event, channel, time,
                   is_time_of_receipt, received_at, latitude_deg, longitude_deg, speed_kmh, heading_deg, alarm_flags,
                   status_flags, size_bytes, sha256, suffix, upload_key, content, command_id)
SELECT (SELECT v.id FROM vehicles v WHERE v.id = n.vehicle_id), n.terminal_id, n.phone, n.edition, n.media_id, n.kind,
       n.format, n.event, n.channel, n.time, n.is_time_of_receipt, n.received_at, n.latitude_deg, n.longitude_deg,
       n.speed_kmh, n.heading_deg, n.alarm_flags, n.status_flags, n.size_bytes, n.sha256, n.suffix, n.upload_key,
       n.content, {_COMMAND}
FROM (SELECT %(vehicle_id)s::integer AS vehicle_id, %(terminal_id)s::integer AS terminal_id, %(phone)s::text AS phone,
             %(edition)s::text AS edition, %(media_id)s::bigint AS media_id, %(kind)s::smallint AS kind,
             %(format)s::smallint AS format, %(event)s::smallint AS event, %(channel)s::smallint AS channel,
             %(time)s::timestamptz AS time, %(is_time_of_receipt)s::boolean AS is_time_of_receipt,
             %(received_at)s::timestamptz AS received_at, %(latitude_deg)s::float8 AS latitude_deg,
             %(longitude_deg)s::float8 AS longitude_deg, %(speed_kmh)s::real AS speed_kmh,
             %(heading_deg)s::integer AS heading_deg, %(alarm_flags)s::bigint AS alarm_flags,
             %(status_flags)s::bigint AS status_flags, %(size_bytes)s::bigint AS size_bytes,
             %(sha256)s::bytea AS sha256, %(suffix)s::text AS suffix, %(upload_key)s::bytea AS upload_key,
             %(content)s::bytea AS content) AS n
ON CONFLICT (phone, upload_key) DO UPDATE SET command_id = excluded.command_id
WHERE EXISTS (SELECT FROM commands c WHERE c.id = excluded.command_id AND c.message_id IN (34819, 34821))
RETURNING id, command_id, xmax = 0
"""

# Counted anew from the rows, so that a replay counts nothing twice. A retrieval (its answer is the 0x0801 itself) is
# over when all has come that was named; before, each that comes gives the next its time.
_PROGRESS: Final = """
UPDATE commands c SET updated_at = now(), progress = coalesce(c.progress, '{}') || n.counted,
       state = CASE WHEN NOT n.retrieves THEN c.state WHEN n.has_all THEN 'answered'
                    WHEN c.state IN ('sent', 'timed_out') THEN 'acknowledged' ELSE c.state END,
       reason = CASE WHEN n.retrieves THEN '' ELSE c.reason END,
       answer_by = CASE WHEN NOT n.retrieves OR c.state = 'queued' THEN c.answer_by WHEN n.has_all THEN NULL
                        ELSE now() + make_interval(secs => c.answer_within_s) END
FROM (SELECT o.id,
             2049 = ANY (o.answer_ids) AND o.state IN ('queued', 'sent', 'acknowledged', 'timed_out') AS retrieves,
             coalesce(m.arrived >= (o.progress->>'total')::int, false) AS has_all,
             jsonb_build_object('arrived', m.arrived, 'media_ids', to_jsonb(m.ids)) AS counted
      FROM commands o, LATERAL (SELECT count(*) AS arrived, (array_agg(m.id ORDER BY m.id))[:100] AS ids
                                FROM media m WHERE m.command_id = o.id) m
      WHERE o.id = ANY (%s)) n
WHERE c.id = n.id RETURNING c.id, c.group_id
"""

_REPORT: Final = """
INSERT INTO media_reports (received_at, vehicle_id, terminal_id, phone, media_id, kind, format, event, channel)
SELECT n.received_at, (SELECT v.id FROM vehicles v WHERE v.id = n.vehicle_id), n.terminal_id, n.phone, n.media_id,
       n.kind, n.format, n.event, n.channel
FROM (SELECT %s::timestamptz AS received_at, %s::integer AS vehicle_id, %s::integer AS terminal_id, %s::text AS phone,
             %s::bigint AS media_id, %s::smallint AS kind, %s::smallint AS format, %s::smallint AS event,
             %s::smallint AS channel) AS n
WHERE NOT EXISTS (SELECT FROM media_reports old WHERE (old.phone, old.media_id) = (n.phone, n.media_id)
                  AND (old.kind, old.format, old.event, old.channel) = (n.kind, n.format, n.event, n.channel)
                  AND old.received_at > n.received_at - interval '1 hour')
"""


class ContentOf(NamedTuple):
    """Where a row's content is: in its file, or, as long as that could not be written, here."""

    suffix: str
    sha256: bytes
    size_bytes: int
    time: datetime
    plate: str | None
    phone: str
    channel: int
    content: bytes | None

    @property
    def file_name(self) -> str:
        return file_name(self.sha256, self.suffix)


async def insert(connection: AsyncConnection[Any], items: Sequence[Media]) -> tuple[list[int], list[CommandChanged]]:
    """Rows of uploads whose files are there, in the pipeline's transaction, after the answers of the same.

    Returns: the ids of those that were new, and the commands that asked for them: their ``progress`` says how many came
             (``arrived``) and which (``media_ids``, the first hundred). What was there, and was asked for once more by
             a retrieval (0x8803, 0x8805), is that one's from now on.
    """
    ids: list[int] = []
    commands: set[UUID] = set()
    for item in items:
        values = {name: getattr(item, name) for name in _PLAIN}
        values |= {
            "phone": clean_text(item.phone),
            "time": to_datetime(item.time_us),
            "received_at": to_datetime(item.received_us),
            "size_bytes": len(item.content),
            "content": None if item.is_filed else item.content,
        }
        row = await (await connection.execute(_INSERT.encode(), values)).fetchone()
        if row is None:
            continue  # it was there
        commands |= {row[1]} - {None}
        if row[2]:
            ids.append(int(row[0]))
    if not commands:
        return ids, []
    cursor = await connection.execute(_PROGRESS, (list(commands),))
    return ids, [CommandChanged(*row) for row in await cursor.fetchall()]


_PLAIN: Final = (
    "vehicle_id", "terminal_id", "edition", "media_id", "kind", "format", "event", "channel", "is_time_of_receipt",
    "latitude_deg", "longitude_deg", "speed_kmh", "heading_deg", "alarm_flags", "status_flags", "sha256", "suffix",
    "upload_key",
)  # fmt: skip


async def insert_reports(connection: AsyncConnection[Any], reports: Sequence[MediaReport]) -> None:
    """What terminals say they recorded; the same within an hour is a resend."""
    for report in reports:
        await connection.execute(
            _REPORT,
            (
                to_datetime(report.received_us), report.vehicle_id, report.terminal_id, clean_text(report.phone),
                report.media_id, report.kind, report.format, report.event, report.channel,
            ),
        )  # fmt: skip


# -- for people ----------------------------------------------------------------------------------------------------


async def page(
    connection: AsyncConnection[Any],
    *,
    before: tuple[datetime, int] | None,
    limit: int,
    vehicle_id: int | None = None,
    kinds: Sequence[int] | None = None,
    is_other_kind: bool = False,
    command_id: UUID | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> list[dict[str, Any]]:
    """Newest recording first, from behind ``before`` (time, id) on. ``begin`` and ``end`` bound the recording's time.

    ``kinds``: wire codes; with ``is_other_kind`` also those that the standard does not have.
    """
    cursor = connection.cursor(row_factory=dict_row)
    time, row_id = before or (None, None)
    await cursor.execute(
        _SELECT.encode() + b" WHERE (%(before)s::timestamptz IS NULL OR (m.time, m.id) < (%(before)s, %(id)s::bigint))"
        b" AND (%(vehicle_id)s::int IS NULL OR m.vehicle_id = %(vehicle_id)s)"
        b" AND (%(kinds)s::int[] IS NULL OR m.kind = ANY (%(kinds)s) OR %(other)s::boolean AND m.kind > 2)"
        b" AND (%(command_id)s::uuid IS NULL OR m.command_id = %(command_id)s)"
        b" AND (%(begin)s::timestamptz IS NULL OR m.time >= %(begin)s)"
        b" AND (%(end)s::timestamptz IS NULL OR m.time <= %(end)s)"
        b" ORDER BY m.time DESC, m.id DESC LIMIT %(limit)s",
        {"before": time, "id": row_id, "vehicle_id": vehicle_id, "kinds": list(kinds) if kinds is not None else None,
         "other": is_other_kind, "command_id": command_id, "begin": begin, "end": end, "limit": limit},
    )  # fmt: skip
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], row_id: int) -> dict[str, Any] | None:
    rows = await by_ids(connection, [row_id])
    return rows[0] if rows else None


async def by_ids(connection: AsyncConnection[Any], row_ids: Sequence[int]) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_SELECT.encode() + b" WHERE m.id = ANY (%s) ORDER BY m.id", (list(row_ids),))
    return await cursor.fetchall()


async def content_of(connection: AsyncConnection[Any], row_id: int) -> ContentOf | None:
    cursor = await connection.execute(
        "SELECT m.suffix, m.sha256, m.size_bytes, m.time, v.plate, m.phone, m.channel, m.content"
        " FROM media m LEFT JOIN vehicles v ON v.id = m.vehicle_id WHERE m.id = %s",
        (row_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else ContentOf(*row)


async def reports_page(
    connection: AsyncConnection[Any],
    *,
    before: tuple[datetime, int] | None,
    limit: int,
    vehicle_id: int | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> list[dict[str, Any]]:
    """Newest first, from behind ``before`` (received_at, id) on, with the upload that followed, if one did."""
    cursor = connection.cursor(row_factory=dict_row)
    time, row_id = before or (None, None)
    await cursor.execute(
        "SELECT r.id, r.received_at, r.vehicle_id, v.plate, v.plate_color, r.phone, r.media_id, r.kind, r.format,"
        " r.event, r.channel, (SELECT max(m.id) FROM media m WHERE (m.phone, m.media_id, m.kind, m.channel)"
        " = (r.phone, r.media_id, r.kind, r.channel) AND m.received_at >= r.received_at) AS upload_id"
        " FROM media_reports r LEFT JOIN vehicles v ON v.id = r.vehicle_id"
        " WHERE (%(before)s::timestamptz IS NULL OR (r.received_at, r.id) < (%(before)s, %(id)s::bigint))"
        " AND (%(vehicle_id)s::int IS NULL OR r.vehicle_id = %(vehicle_id)s)"
        " AND (%(begin)s::timestamptz IS NULL OR r.received_at >= %(begin)s)"
        " AND (%(end)s::timestamptz IS NULL OR r.received_at <= %(end)s)"
        " ORDER BY r.received_at DESC, r.id DESC LIMIT %(limit)s",
        {"before": time, "id": row_id, "vehicle_id": vehicle_id, "begin": begin, "end": end, "limit": limit},
    )
    return await cursor.fetchall()


async def delete(connection: AsyncConnection[Any], row_id: int) -> str | None:
    """Remove a row; the name of its file, to be offered for removal afterwards. None: there is no such row."""
    cursor = await connection.execute("DELETE FROM media WHERE id = %s RETURNING sha256, suffix", (row_id,))
    row = await cursor.fetchone()
    return None if row is None else file_name(*row)


# -- for the janitor -----------------------------------------------------------------------------------------------


async def usage(connection: AsyncConnection[Any]) -> tuple[int, int, int]:
    """Rows, their bytes, and the bytes of those whose content stands in the row."""
    cursor = await connection.execute(
        "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint,"
        " coalesce(sum(size_bytes) FILTER (WHERE content IS NOT NULL), 0)::bigint FROM media"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


async def drop_before(connection: AsyncConnection[Any], before: datetime, limit: int) -> list[str]:
    """Remove the oldest rows received before this time; their files' names."""
    cursor = await connection.execute(
        "DELETE FROM media WHERE id IN (SELECT id FROM media WHERE received_at < %s ORDER BY received_at, id LIMIT %s)"
        " RETURNING sha256, suffix",
        (before, limit),
    )
    return [file_name(*row) for row in await cursor.fetchall()]


async def drop_beyond(connection: AsyncConnection[Any], max_bytes: int, limit: int) -> list[str]:
    """Remove the oldest rows that are too much, the newest ``max_bytes`` stay; their files' names."""
    cursor = await connection.execute(
        "DELETE FROM media WHERE id IN (SELECT id FROM (SELECT id, received_at, sum(size_bytes) OVER"
        " (ORDER BY received_at DESC, id DESC) AS total FROM media) AS m WHERE total > %s"
        " ORDER BY received_at, id LIMIT %s) RETURNING sha256, suffix",
        (max_bytes, limit),
    )
    return [file_name(*row) for row in await cursor.fetchall()]


async def drop_reports_before(connection: AsyncConnection[Any], before: datetime) -> None:
    await connection.execute("DELETE FROM media_reports WHERE received_at < %s", (before,))


async def referred(connection: AsyncConnection[Any], names: Sequence[str]) -> set[str]:
    """Which of these files some row refers to."""
    hashes = [bytes.fromhex(name.rsplit("/", 1)[-1].split(".")[0]) for name in names]
    cursor = await connection.execute("SELECT DISTINCT sha256, suffix FROM media WHERE sha256 = ANY (%s)", (hashes,))
    return {file_name(*row) for row in await cursor.fetchall()} & set(names)


async def unfiled(connection: AsyncConnection[Any], limit: int) -> list[tuple[int, str, bytes]]:
    """Rows whose content is not in its file yet: id, file's name, content."""
    cursor = await connection.execute(
        "SELECT id, sha256, suffix, content FROM media WHERE content IS NOT NULL ORDER BY id LIMIT %s", (limit,)
    )
    return [(row[0], file_name(row[1], row[2]), row[3]) for row in await cursor.fetchall()]


async def filed(connection: AsyncConnection[Any], row_ids: Sequence[int]) -> None:
    """Their files are on disk now."""
    await connection.execute("UPDATE media SET content = NULL WHERE id = ANY (%s)", (list(row_ids),))
