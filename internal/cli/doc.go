// Package cli is the command line of greenroom, the embedded engine.
//
// What both engines' command lines have in common is in package command; this
// one owns where the server is (a unix socket, or a URL and a token) and the
// commands that only a greenroom on one machine has: init, check, up, down,
// demo, token, and how a release is opened from a document. Only up, demo and
// the hidden commands that re-execute the program build an app of their own;
// it must not import the gateway, a platform or the state machine for anything
// but that, and nothing of Kubernetes.
//
// Start at Main; commands are in files by their noun.
package cli

//go:generate go test -count=1 -run ReferenceUpToDate . -update
