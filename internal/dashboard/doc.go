// Package dashboard is greenroom in a browser: pages, in English and Japanese,
// on which people see what serves and what would, and act.
//
// It owns the pages, their words and assets, the session's cookie, and the one
// stream of each open page. Everything it does for somebody it does through the
// API, as that person, so that roles are enforced there and nowhere else. What
// all pages show alike, it looks at once for all of them. Of greenroom it
// imports client, httpapi, login, signon and passpage; no engine.
//
// Start at New. A page is a file by its noun with a template of that name; the
// words are in words.json; live.go has the stream, hub.go what it tells.
package dashboard
