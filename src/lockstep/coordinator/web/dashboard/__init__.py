"""The dashboard: the same addresses as the API's, as pages for people.

A request that asks for HTML at the address of a release gets its page; one that asks for JSON gets the API's answer.
Pages are rendered on the server from templates and can be read and used without JavaScript. A page's live parts are
blocks of its template: the stream that keeps an open page up to date renders the same blocks from the same function.

A face decides nothing: pages read the store, forms call the commands, and what a caller may do is asked of
`services.access`.
"""
