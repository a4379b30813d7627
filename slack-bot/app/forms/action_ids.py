"""Action ids and callback ids of positions, kill switches, cancels, strategies and the overview."""

POSITION_VIEW = "position:open"  # a select whose value is the key of a position
POSITION_CLOSE = "position:close"  # a button that opens the form to close
POSITION_EXITS = "position:exits"  # a button that opens the form of the exits
FORM_OPEN = "form:open"  # a button whose value is a command in words
BANNER_RESUME = f"{FORM_OPEN}:banner"  # the button of a banner, in words as well
TAB_PREFIX = "overview:tab:"
TRADE_OPEN = "overview:trade"  # a button that opens the trade form
ORDER_OPEN = "overview:order"  # a button that opens the order form

STRATEGY_START = "strategy:start"  # buttons whose value is the name of a strategy
STRATEGY_RESTART = "strategy:restart"  # after an error, which the person has read
STRATEGY_PAUSE = "strategy:pause"
STRATEGY_STOP = "strategy:stop"
STRATEGY_BACKTEST = "strategy:backtest"
STRATEGY_PARAMETERS = "strategy:parameters"

CLOSE_FORM = "close_form"
EXITS_FORM = "exits_form"
CANCEL_FORM = "cancel_form"
HALT_FORM = "halt_form"
RESUME_FORM = "resume_form"
SETTINGS_FORM = "settings_form"
LOGIN_FORM = "login_form"
BACKTEST_FORM = "backtest_form"
PARAMETERS_FORM = "parameters_form"

SETTINGS_PORTFOLIO = "settings:portfolio"  # selects whose options the bot finds
SETTINGS_TIME_ZONE = "settings:time_zone"

# Block ids of the forms. The action id of their other entries is `fields.ACTION`.
POSITION = "position"
QUANTITY = "close_quantity"
REASON = "reason"
TAKE_PROFIT = "take_profit"
STOP_LOSS = "stop_loss"
SCOPE = "scope"
MODE = "mode"
FLATTEN_OK = "flatten_ok"
SWITCH = "switch"
ORDERS = "orders"
CONNECTION = "broker_connection"
REQUEST_TOKEN = "request_token"  # noqa: S105  # the name of an entry
BACKTEST_STRATEGY = (
    "strategy"  # these have the names of the fields of the OMS, so that its errors are shown there
)
BACKTEST_FIRST_DAY = "from"
BACKTEST_LAST_DAY = "to"
BACKTEST_SYMBOLS = "symbols"
PARAMETER_PREFIX = "parameters."  # and the name, as the OMS names the field
