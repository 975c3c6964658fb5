// Package command holds the commands that greenroom and kubectl greenroom have
// in common: the same words, flags, screens and exit codes over both engines.
//
// It owns what is printed, what is asked, how a command waits, and exit codes.
// Everything is asked for over the API by the client package; how its server
// is reached is the business of a Connection, which the program brings along.
// So it must import neither engine: no gateway, no platform, no store, nothing
// of Kubernetes.
//
// Messages call the program greenroom; App.Screen puts in what it is called.
//
// Start at App; commands are in files by their noun.
package command
