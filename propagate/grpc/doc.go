// Package propagategrpc carries a request's stamp through gRPC services: server
// interceptors take it from the metadata of a call into its context, client
// interceptors put it into the metadata of calls to the fleet.
//
//	grpc.NewServer(propagategrpc.ServerOptions()...)
//	grpc.NewClient(target, append(propagategrpc.DialOptions(), …)...)
//
// The package owns the translation to gRPC and nothing else: which header, which
// hosts and how long work lasts are decided in package propagate, whose options
// it takes. It imports that package and grpc-go, nothing else of greenroom, and
// is a module of its own so that services without gRPC need not have it.
//
// Readers start at ServerOptions in server.go and DialOptions in client.go.
package propagategrpc
