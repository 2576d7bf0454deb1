"""What the test engines share.

    cache     what is fetched once, checked, and kept
    ports     ports that stay free until an engine takes them
    node      one process of an engine, which dies with this one
    authority certificates of an authority of the engine's own
    session   the conversation with whoever started the engine
"""
