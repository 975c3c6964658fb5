// Package gift is the demo fleet's service for sending gifts: it takes coins
// from the viewer's wallet, over gRPC, and puts a payout for the streamer into
// the worker's queue.
//
// It owns the gift's rules and translates between HTTP and the wallet's
// contract; version 2 speaks contract 2, in which a gift can be sent twice. It
// passes the stamp on with the propagate library: Middleware where requests come
// in, an interceptor where calls go out. Start at Run.
package gift

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/greenroom-dev/greenroom/examples/live/internal/boot"
	"github.com/greenroom-dev/greenroom/examples/live/internal/queue"
	"github.com/greenroom-dev/greenroom/examples/live/internal/trail"
	"github.com/greenroom-dev/greenroom/examples/live/wallet/walletpb"
	"github.com/greenroom-dev/greenroom/propagate"
	propagategrpc "github.com/greenroom-dev/greenroom/propagate/grpc"
)

// Run serves gifts until ctx ends.
func Run(ctx context.Context, p boot.Process) error {
	dir, err := p.DataFile("queue")
	if err != nil {
		return err
	}
	payouts, err := queue.Open(dir)
	if err != nil {
		return err
	}
	environ := propagate.WithEnviron(p.Environ())
	conn, err := dialWallet(p, environ)
	if err != nil {
		return err
	}
	defer conn.Close()

	s := &server{process: p, wallet: walletpb.NewWalletClient(conn), payouts: payouts}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /room", s.room)
	mux.HandleFunc("GET /path", s.path)
	mux.HandleFunc("POST /path", s.path)
	mux.HandleFunc("POST /gift", s.gift)
	return p.ServeHTTP(ctx, propagate.Middleware(mux, environ), propagate.Base)
}

// dialWallet opens the one connection that all requests share, whatever release
// they belong to: greenroom routes each call by itself.
func dialWallet(p boot.Process, opt propagate.Option) (*grpc.ClientConn, error) {
	base, err := p.Callee("wallet")
	if err != nil {
		return nil, err
	}
	_, address, _ := strings.Cut(base, "://") // gRPC has hosts where HTTP has URLs
	opts := append(propagategrpc.DialOptions(opt),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// After a restart of what is in between, calls go on within a second.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
			MinConnectTimeout: time.Second,
		}))
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		return nil, fmt.Errorf("connecting to wallet: %w", err)
	}
	return conn, nil
}

type server struct {
	process boot.Process
	wallet  walletpb.WalletClient
	payouts *queue.Queue
}

// room answers the viewer's balance.
func (s *server) room(w http.ResponseWriter, r *http.Request) {
	var c call
	reply, err := s.wallet.Balance(r.Context(), &walletpb.BalanceRequest{
		Contract: s.process.Contract(), Viewer: r.FormValue("viewer"),
	}, c.options()...)
	if err != nil {
		s.fail(w, &c, err)
		return
	}
	trail.Mark(w.Header(), s.trail(&c), false)
	trail.WriteJSON(w, http.StatusOK, map[string]int64{"balance": reply.Coins})
}

// path crosses to the wallet and moves nothing: a GET asks for a balance, a POST
// sends its body as a card.
func (s *server) path(w http.ResponseWriter, r *http.Request) {
	var c call
	var digest []byte
	var err error
	if r.Method == http.MethodGet {
		_, err = s.wallet.Balance(r.Context(), &walletpb.BalanceRequest{Contract: s.process.Contract()}, c.options()...)
	} else {
		var card *walletpb.TransferRequest
		if card, err = s.card(w, r); err == nil {
			var reply *walletpb.TransferReply
			reply, err = s.wallet.Transfer(r.Context(), card, c.options()...)
			digest = reply.GetDigest()
		}
	}
	if err != nil {
		s.fail(w, &c, err)
		return
	}
	trail.Answer{Path: s.trail(&c), Digest: hex.EncodeToString(digest)}.Write(w, http.StatusOK)
}

// Sent is what a gift is answered with.
type Sent struct {
	ID      string `json:"id"`
	Balance int64  `json:"balance"`
	Digest  string `json:"digest"` // hex SHA-256 of the card
}

// gift moves the coins and queues the payout. Both are done once per id, so that
// a client that does not know how its gift ended sends it again, with the same
// Idempotency-Key.
func (s *server) gift(w http.ResponseWriter, r *http.Request) {
	var c call
	req, err := s.order(w, r)
	if err != nil {
		s.fail(w, &c, err)
		return
	}
	reply, err := s.wallet.Transfer(r.Context(), req, c.options()...)
	if err != nil {
		s.fail(w, &c, err)
		return
	}
	coins := req.Coins
	if req.Gift != nil {
		coins = req.Gift.Coins * int64(req.Gift.Times)
	}
	if err := s.payouts.Put(queue.Payout{Gift: req.Id, To: req.To, Coins: coins}); err != nil {
		s.fail(w, &c, err)
		return
	}
	trail.Mark(w.Header(), s.trail(&c), false)
	trail.WriteJSON(w, http.StatusOK, Sent{ID: req.Id, Balance: reply.Balance, Digest: hex.EncodeToString(reply.Digest)})
}

// order reads a gift: ?from=&to=&coins=, from version 2 on &times=, and the card
// as the body.
func (s *server) order(w http.ResponseWriter, r *http.Request) (*walletpb.TransferRequest, error) {
	q := r.URL.Query()
	coins, err := strconv.ParseInt(q.Get("coins"), 10, 64)
	if err != nil || coins < 1 {
		return nil, refusal{http.StatusBadRequest, "coins is a number from 1 on"}
	}
	req, err := s.card(w, r)
	if err != nil {
		return nil, err
	}
	req.From, req.To = q.Get("from"), q.Get("to")
	if req.From == "" || req.To == "" {
		return nil, refusal{http.StatusBadRequest, "a gift needs from and to"}
	}
	if req.Id = r.Header.Get("Idempotency-Key"); req.Id == "" {
		req.Id = rand.Text()
	}
	if !queue.ValidID(req.Id) {
		return nil, refusal{http.StatusBadRequest, "an Idempotency-Key is 1 to 64 letters, digits, dots and dashes"}
	}
	switch times := q.Get("times"); {
	case !s.process.Second() && times != "":
		return nil, refusal{http.StatusBadRequest, "gifts are sent once: times came with version 2"}
	case !s.process.Second():
		req.Coins = coins
	case times == "2":
		req.Gift = &walletpb.Gift{Coins: coins, Times: 2}
	default:
		req.Gift = &walletpb.Gift{Coins: coins, Times: 1}
	}
	return req, nil
}

// card reads the body and its digest into a request that moves nothing.
func (s *server) card(w http.ResponseWriter, r *http.Request) (*walletpb.TransferRequest, error) {
	card, err := io.ReadAll(http.MaxBytesReader(w, r.Body, trail.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refusal{http.StatusRequestEntityTooLarge, "a card has 1 MiB at most"}
	case err != nil:
		return nil, refusal{http.StatusBadRequest, "reading the card: " + err.Error()}
	}
	digest, err := contentDigest(r.Header.Get("Content-Digest"))
	if err != nil {
		return nil, err
	}
	req := &walletpb.TransferRequest{Contract: s.process.Contract(), Card: card, Digest: digest}
	if s.process.Second() {
		req.Gift = &walletpb.Gift{Times: 1}
	}
	return req, nil
}

// contentDigest reads sha-256=:base64: as RFC 9530 has it; other algorithms are
// left alone.
func contentDigest(header string) ([]byte, error) {
	value, ok := strings.CutPrefix(header, "sha-256=:")
	if !ok {
		return nil, nil
	}
	digest, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(value, ":"))
	if err != nil || len(digest) != 32 {
		return nil, refusal{http.StatusBadRequest, "Content-Digest is no SHA-256 in base64"}
	}
	return digest, nil
}
