"""`digits app`: the gateway between people and the model server, and the page that it serves.

    settings.py      what it was started with: addresses, limits, where things are kept
    application.py   the ASGI app, put together
    predicting.py reading.py about.py corrections.py pages.py health.py    the routes
    model.py         the model server, asked for many visitors at once
    published.py     facts and formats of the versions in the store
    guard.py rate.py headers.py        what every request passes
    metrics.py lines.py request_log.py what is told of every request
    feedback/        corrections: their store, their way into the inbox
    main.py          the process: its server, its signals, a model server of its own
    static/          the page

No TensorFlow in this process: the model server computes.
"""
