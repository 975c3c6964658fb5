// Package walletpb is the wallet's contract: messages and gRPC stubs generated
// from wallet.proto. It owns no behaviour; the wallet implements it, and gift
// and the load generator call it.
package walletpb

// Needs protoc, protoc-gen-go v1.36.12 and protoc-gen-go-grpc v1.6.2 in PATH.
//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative wallet.proto
