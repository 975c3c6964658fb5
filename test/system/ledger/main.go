// Command ledger is a service with a database, for the tests of holds: it adds
// a row for every POST and counts them for every GET, each in a transaction of
// its own, and answers 500 when the database does not let it. Its pool looks
// whether a connection is alive before it gives it out, and tries nothing again.
//
//	DATABASE  where PostgreSQL is, as a connection string
//
// Its arguments mean nothing; the tests find its processes by them.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE"))
	if err != nil {
		return err
	}
	// Else only connections that were idle for a second are looked at, and a
	// restart may be faster.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS gifts (id serial PRIMARY KEY)"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {}) // of the service, not of its database
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, r, pool) })
	server := &http.Server{Handler: mux}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, r *http.Request, pool *pgxpool.Pool) {
	var count int
	err := pgx.BeginFunc(r.Context(), pool, func(tx pgx.Tx) error {
		if r.Method == http.MethodPost {
			if _, err := tx.Exec(r.Context(), "INSERT INTO gifts DEFAULT VALUES"); err != nil {
				return err
			}
		}
		return tx.QueryRow(r.Context(), "SELECT count(*) FROM gifts").Scan(&count)
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "ledger=%d", count)
}
