// Package cli is greenroom's command line.
//
// It owns flags, what is printed, what is asked, and exit codes. Everything
// that a running greenroom does is asked for over its API by the client
// package; only up, demo and the hidden commands that re-execute the program
// build an app of their own. It must not import the gateway, a platform or the
// state machine for anything but that.
//
// Start at Main; commands are in files by their noun.
package cli

//go:generate go test -count=1 -run ReferenceUpToDate . -update
