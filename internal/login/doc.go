// Package login knows who a browser belongs to: sessions, what they are begun
// with, and how often somebody may try.
//
// It owns the session's cookie value and what is kept of it, one-time login
// links, and the limit on failed logins. A session of an API token is good for
// as long as the token is; what its owner may do is asked of httpapi.Access each
// time, and what the groups of a provider's person may do of Roles. It knows no
// pages, and of greenroom it imports httpapi alone.
//
// Start at Sessions.Begin and Sessions.Find; links.go has the links, limit.go
// the limit.
package login
