// Command live runs one service of the demo fleet:
//
//	live web --version v1
//
// It owns flags and signals and nothing else; package live is the fleet.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/greenroom-dev/greenroom/examples/live"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("say which service: live %s [--version v1]", strings.Join(live.Services(), "|"))
	}
	flags := flag.NewFlagSet("live "+args[0], flag.ContinueOnError)
	version := flags.String("version", "v1", strings.Join(live.Versions(), " or "))
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return live.Run(ctx, args[0], *version, os.Getenv, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
