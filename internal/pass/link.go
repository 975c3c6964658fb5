package pass

import "errors"

// Link returns the address that carries a token to a browser. The token
// stands in the fragment, which no browser sends to a server.
func Link(publicURL, token string) string { return publicURL + "/.greenroom/pass#" + token }

// QR draws a link for a terminal, with two modules to a character cell.
func QR(link string) (string, error) { return "", errors.ErrUnsupported }
