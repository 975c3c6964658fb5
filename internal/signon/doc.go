// Package signon logs people in by their OpenID Connect provider: the
// authorization code flow with PKCE, state and nonce.
//
// It owns what is asked of the provider, what is believed of its answers, and
// how groups become roles. It keeps no token of the provider, and no session:
// internal/login does. It knows no pages, and of greenroom it imports httpapi
// alone, for the roles.
//
// The provider is looked at when somebody logs in, not before: greenroom does
// not need it to start, nor for anybody who is logged in.
//
// Start at Provider.Begin and Provider.Finish; claims.go has what is read of a
// person, pending.go what is kept of a login under way.
package signon
