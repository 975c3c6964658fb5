// Package holdpage is what people and programs are shown who are turned away
// while a fleet is on hold and who brought no page of its own.
//
// It owns that page alone, the same for both engines, and imports nothing else
// of greenroom.
//
// Start at HTML.
package holdpage

import (
	"encoding/json"
	"html"
	"strings"
)

// Title is what the page is called.
const Title = "Back soon"

// HTML is a page that says a message, in whatever language it is. It loads nothing and runs nothing. With a
// message of up to 1,000 characters it takes less than 4 KiB unless most of
// them are longer than one byte, or have to be escaped.
func HTML(message string) string {
	return strings.NewReplacer("TITLE", html.EscapeString(Title), "MESSAGE", html.EscapeString(message)).Replace(page)
}

const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>TITLE</title>
<style>
body{margin:0;min-height:100vh;display:grid;place-items:center;font:1.1rem/1.5 system-ui,sans-serif;background:#fff;color:#1b1b1b}
h1{margin:0;font:inherit}
main{max-width:36rem;padding:2rem;overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}}
</style>
</head>
<body><main><h1 lang="" dir="auto">MESSAGE</h1></main></body>
</html>
`

// JSON is the message for programs, as RFC 9457 has it.
func JSON(message string) string {
	b, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"urn:greenroom:error:on-hold", "The fleet is on hold", 503, message})
	if err != nil { // texts can always be encoded
		return `{"status":503}`
	}
	return string(b) + "\n"
}
