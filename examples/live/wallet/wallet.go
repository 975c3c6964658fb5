// Package wallet is the demo fleet's gRPC service: it keeps the viewers' coins.
//
// It owns the coins and the check of the contract between gift and wallet: a
// request in the other version's contract is refused, so that a mixture of
// releases is seen at once. It calls nobody, so it has no stamp to pass on and
// needs nothing of greenroom: a leaf of the fleet is done when it answers health
// checks and stops gracefully. Start at Run.
package wallet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/examples/live/wallet/walletpb"
)

// Run serves the wallet until ctx ends.
func Run(ctx context.Context, p boot.Process) error {
	path, err := p.DataFile("wallet.jsonl")
	if err != nil {
		return err
	}
	coins, err := openLedger(path)
	if err != nil {
		return err
	}
	defer coins.close()

	mark := metadata.Pairs(trail.Header, trail.Trail{p.Hop()}.String())
	srv := grpc.NewServer(
		grpc.MaxRecvMsgSize(2*trail.MaxBody),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := grpc.SetHeader(ctx, mark); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := stream.SetHeader(mark); err != nil {
				return err
			}
			return next(srv, stream)
		}),
	)
	walletpb.RegisterWalletServer(srv, &server{process: p, coins: coins, stopping: ctx.Done()})
	healthy := health.NewServer()
	healthpb.RegisterHealthServer(srv, healthy)
	context.AfterFunc(ctx, healthy.Shutdown)
	return p.ServeGRPC(ctx, srv)
}

type server struct {
	walletpb.UnimplementedWalletServer
	process  boot.Process
	coins    *ledger
	stopping <-chan struct{}
}

// speaks refuses who speaks the other contract.
func (s *server) speaks(contract int32) error {
	if own := s.process.Contract(); contract != own {
		return status.Errorf(codes.FailedPrecondition,
			"wallet %s speaks contract %d and was called in contract %d: two releases were mixed", s.process.Version, own, contract)
	}
	return nil
}

func (s *server) Balance(_ context.Context, req *walletpb.BalanceRequest) (*walletpb.BalanceReply, error) {
	if req.Contract != 0 {
		if err := s.speaks(req.Contract); err != nil {
			return nil, err
		}
	}
	return s.balance(req.Viewer)
}

func (s *server) balance(viewer string) (*walletpb.BalanceReply, error) {
	coins, err := s.coins.balance(viewer)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &walletpb.BalanceReply{Coins: coins, Version: s.process.Version}, nil
}

func (s *server) Transfer(_ context.Context, req *walletpb.TransferRequest) (*walletpb.TransferReply, error) {
	if err := s.speaks(req.Contract); err != nil {
		return nil, err
	}
	coins, err := amount(req)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(req.Card)
	if len(req.Digest) > 0 && string(req.Digest) != string(digest[:]) {
		return nil, status.Errorf(codes.DataLoss, "the card arrived with digest %x, its sender had %x", digest, req.Digest)
	}
	balance, err := s.coins.transfer(transfer{ID: req.Id, From: req.From, To: req.To, Coins: coins})
	switch {
	case errors.Is(err, errTooPoor):
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	case err != nil:
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &walletpb.TransferReply{Balance: balance, Digest: digest[:], Version: s.process.Version}, nil
}

// amount reads the one field set of the request's contract and refuses the other.
func amount(req *walletpb.TransferRequest) (int64, error) {
	coins := req.Coins
	if req.Contract == 2 {
		if req.Gift == nil || req.Coins != 0 {
			return 0, status.Error(codes.FailedPrecondition, "contract 2 says gift, not coins")
		}
		if req.Gift.Times < 1 || req.Gift.Times > 2 {
			return 0, status.Errorf(codes.InvalidArgument, "a gift is sent once or twice, not %d times", req.Gift.Times)
		}
		coins = req.Gift.Coins * int64(req.Gift.Times)
	} else if req.Gift != nil {
		return 0, status.Error(codes.FailedPrecondition, "contract 1 says coins, not gift")
	}
	if coins < 0 || coins > start {
		return 0, status.Errorf(codes.InvalidArgument, "a gift is of 0 to %d coins, not %d", start, coins)
	}
	return coins, nil
}

func (s *server) Watch(req *walletpb.WatchRequest, stream grpc.ServerStreamingServer[walletpb.BalanceReply]) error {
	if req.Times < 1 || req.Times > 100 || req.IntervalMillis < 0 || req.IntervalMillis > 10_000 {
		return status.Error(codes.InvalidArgument, "watch 1 to 100 times, every 0 to 10000 ms")
	}
	for i := range req.Times {
		if i > 0 {
			if err := s.pause(stream.Context(), time.Duration(req.IntervalMillis)*time.Millisecond); err != nil {
				return err
			}
		}
		reply, err := s.balance(req.Viewer)
		if err != nil {
			return err
		}
		if err := stream.Send(reply); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, but not beyond the end of the caller or of this process: streams
// must not keep a version from leaving, and their callers are told to come back.
func (s *server) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-s.stopping:
		return s.leaving()
	}
}

func (s *server) leaving() error {
	return status.Error(codes.Unavailable, fmt.Sprintf("wallet %s is leaving: open the stream again", s.process.Version))
}

func (s *server) Converse(stream grpc.BidiStreamingServer[walletpb.Note, walletpb.Note]) error {
	ended := make(chan error, 1)
	go func() { ended <- s.converse(stream) }()
	select {
	case err := <-ended:
		return err
	case <-s.stopping: // returning ends the stream, and with it the goroutine
		return s.leaving()
	}
}

// converse answers each note until the caller has no more.
func (s *server) converse(stream grpc.BidiStreamingServer[walletpb.Note, walletpb.Note]) error {
	for {
		note, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		note.Version = s.process.Version
		if err := stream.Send(note); err != nil {
			return err
		}
	}
}
