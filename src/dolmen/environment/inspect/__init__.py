"""Questions about an environment and about what its archive offers; nothing here changes either.

`view` says what is looked at; each further module answers one question.
"""
