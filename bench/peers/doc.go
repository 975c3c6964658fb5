// Package peers holds the proxies that greenroom is measured beside: the
// configurations of nginx, HAProxy, Envoy and Caddy, and three programs. It is
// a module of its own, outside the workspace, so that what Caddy needs changes
// no version of what greenroom is built from.
package peers
