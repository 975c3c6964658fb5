// Command cmd runs a real Kubernetes with Istio and Argo Rollouts on this
// machine: up, down, status, and exec for commands that shall see it. For tests of the API
// server alone, assets makes its binaries and prints where they are.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"syscall"

	"github.com/greenroom-dev/greenroom/test/cluster"
)

const usage = `usage: cluster [--state DIR] up|down|status|exec COMMAND [ARG...]|assets [--build]

  up      start a cluster and leave it running
  down    end it, or what is left of it
  status  say which of its parts live
  exec    run a command with its KUBECONFIG, kubectl, istioctl and ctr
  assets  print where etcd, kube-apiserver and Argo's manifest are, as JSON;
          or what of it is missing; with --build, make that first
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		var own *commandExit
		if errors.As(err, &own) {
			os.Exit(own.code) // the command has said why
		}
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// commandExit is how the command of exec ended, unless that is success. Other
// programs that are run on the way say nothing to people by themselves.
type commandExit struct{ code int }

func (e *commandExit) Error() string { return fmt.Sprintf("the command ended with %d", e.code) }

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage) }
	state := flags.String("state", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch flags.Arg(0) {
	case "up":
		_, err := cluster.Start(ctx, cluster.Options{State: *state, Keep: true, Log: os.Stderr})
		return err
	case "down":
		return cluster.Down(ctx, *state, os.Stderr)
	case "status":
		return cluster.Status(ctx, *state, os.Stdout)
	case "exec":
		return execute(ctx, *state, flags.Args()[1:])
	case "assets":
		return assets(ctx, slices.Contains(flags.Args(), "--build"))
	}
	flags.Usage()
	return fmt.Errorf("no such command: %q", flags.Arg(0))
}

// assets prints where the binaries of an API server are.
func assets(ctx context.Context, build bool) error {
	found, err := cluster.FindAssets(ctx, build, os.Stderr)
	if errors.Is(err, cluster.ErrNotAtHand) {
		return json.NewEncoder(os.Stdout).Encode(map[string]string{"missing": err.Error()})
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// execute runs a command that sees the cluster.
func execute(ctx context.Context, state string, args []string) error {
	if len(args) == 0 {
		return errors.New("exec needs a command")
	}
	c, err := cluster.Attach(ctx, state, nil)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "/usr/bin/env", args...) // looks in the PATH of the cluster
	cmd.Env = c.Environ()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &commandExit{exit.ExitCode()}
	}
	return err
}
