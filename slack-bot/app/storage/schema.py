"""The tables of the bot, in the SQL that SQLite and PostgreSQL share.

Times are Unix seconds, except `event_claims.created_at`: the time of an event of the OMS, as text.
"""

# The key of databases of earlier versions has no team: workspaces of one tenant show the same orders.
MESSAGES_KEY = "CONSTRAINT order_messages_by_team PRIMARY KEY (team, order_id, kind)"
MESSAGES = f"""CREATE TABLE IF NOT EXISTS order_messages (
        order_id TEXT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
        team TEXT NOT NULL, "user" TEXT NOT NULL, sequence INTEGER NOT NULL, legs TEXT NOT NULL,
        is_open INTEGER NOT NULL, checked_at DOUBLE PRECISION NOT NULL, owner TEXT NOT NULL DEFAULT '',
        {MESSAGES_KEY}
    )"""
TABLES = (
    """CREATE TABLE IF NOT EXISTS bots (id TEXT PRIMARY KEY, seen_at DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS owed_confirmations (
        key TEXT PRIMARY KEY, submitted_at DOUBLE PRECISION NOT NULL, team TEXT NOT NULL,
        "user" TEXT NOT NULL, channel TEXT NOT NULL, view_id TEXT NOT NULL, root_view_id TEXT NOT NULL,
        request_id TEXT NOT NULL, order_text TEXT NOT NULL, response_url TEXT NOT NULL,
        response_url_expires_at DOUBLE PRECISION NOT NULL, state TEXT NOT NULL DEFAULT 'submitted',
        is_owed INTEGER NOT NULL DEFAULT 0, owner TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE IF NOT EXISTS pending_orders (
        key TEXT PRIMARY KEY, submitted_at DOUBLE PRECISION NOT NULL, team TEXT NOT NULL,
        "user" TEXT NOT NULL, channel TEXT NOT NULL, request_id TEXT NOT NULL, order_text TEXT NOT NULL,
        state TEXT NOT NULL, owner TEXT NOT NULL DEFAULT ''
    )""",
    MESSAGES,
    """CREATE TABLE IF NOT EXISTS event_claims (
        team TEXT NOT NULL, id TEXT NOT NULL, created_at TEXT NOT NULL, owner TEXT NOT NULL,
        is_handled INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (team, id)
    )""",
    """CREATE INDEX IF NOT EXISTS event_claims_by_time ON event_claims (team, created_at)""",
    """CREATE TABLE IF NOT EXISTS claimed_ids (
        id TEXT PRIMARY KEY, claimed_at DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS webhook_secrets (webhook_id TEXT PRIMARY KEY, secret TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS installations (
        team TEXT PRIMARY KEY, enterprise TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '',
        bot_token TEXT NOT NULL DEFAULT '', oms_key TEXT NOT NULL DEFAULT '', scopes TEXT NOT NULL DEFAULT '',
        installed_at DOUBLE PRECISION NOT NULL, status TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 1
    )""",
    """CREATE TABLE IF NOT EXISTS notifications (
        key TEXT PRIMARY KEY, team TEXT NOT NULL, member TEXT NOT NULL, channel TEXT NOT NULL,
        event_type TEXT NOT NULL, text TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL,
        due_at DOUBLE PRECISION NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        thread TEXT NOT NULL DEFAULT '', portfolio TEXT NOT NULL DEFAULT ''
    )""",
    """CREATE TABLE IF NOT EXISTS summary_readers (
        team TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (team, member)
    )""",
    """CREATE TABLE IF NOT EXISTS overview_viewers (
        team TEXT NOT NULL, member TEXT NOT NULL, tab TEXT NOT NULL, active_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (team, member)
    )""",
    """CREATE TABLE IF NOT EXISTS banners (
        team TEXT NOT NULL, portfolio TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
        PRIMARY KEY (team, portfolio)
    )""",
    """CREATE TABLE IF NOT EXISTS owed_banners (
        key TEXT PRIMARY KEY, team TEXT NOT NULL, portfolio TEXT NOT NULL, is_end INTEGER NOT NULL,
        channel TEXT NOT NULL, member TEXT NOT NULL, request_id TEXT NOT NULL, content TEXT NOT NULL,
        created_at DOUBLE PRECISION NOT NULL, state TEXT NOT NULL DEFAULT 'queued', owner TEXT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS reported_statuses (
        team TEXT NOT NULL, member TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (team, member)
    )""",
    """CREATE TABLE IF NOT EXISTS oauth_states (
        digest TEXT PRIMARY KEY, expires_at DOUBLE PRECISION NOT NULL
    )""",
)

# Columns that databases of earlier versions do not have, by table.
ADDED_COLUMNS = (
    ("owed_confirmations", "owner TEXT NOT NULL DEFAULT ''"),
    ("pending_orders", "owner TEXT NOT NULL DEFAULT ''"),
    ("order_messages", "owner TEXT NOT NULL DEFAULT ''"),
    ("notifications", "attempts INTEGER NOT NULL DEFAULT 0"),
    ("notifications", "thread TEXT NOT NULL DEFAULT ''"),
    ("notifications", "portfolio TEXT NOT NULL DEFAULT ''"),
)
