package propagategrpc_test

import (
	"context"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/greenroom-dev/greenroom/propagate"
	propagategrpc "github.com/greenroom-dev/greenroom/propagate/grpc"
)

// Methods named safe die with their client; all others are writes.
func ExampleNewServer() {
	base, end := context.WithCancel(context.Background())
	defer end()

	stamped := propagategrpc.NewServer(propagate.WithBase(base)).
		WithSafe("/live.Wallet/Balance", "/live.Wallet/Watch")
	srv := grpc.NewServer(stamped.Options()...)

	srv.Stop()
}

func ExampleDialOptions() {
	target := "wallet.live.svc:50051"

	conn, err := grpc.NewClient(target, append(propagategrpc.DialOptions(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		log.Fatal(err)
	}

	conn.Close()
}
