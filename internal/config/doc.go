// Package config turns the documents that people write into the values that
// the embedded engine works with: it reads and checks them, fills in what they
// leave out, and finds and hashes the executables they name.
//
// It owns every rule about what a document may say, the text of every
// complaint, and the decision what applying a changed Fleet means (Compare).
// It reads files but starts nothing and listens nowhere, and imports of
// greenroom only api/v1alpha1, fleet and spelling.
//
// Complaints are *Error values, collected in an *Errors: file, line, column,
// excerpt, problem, and what to do. Paths inside a document are written as in
// spec.services[0].run.command[0]; a source knows where each of them stands.
//
// Start at Parse, then ResolveFleet and ResolveRelease.
package config
