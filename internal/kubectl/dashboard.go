package kubectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/greenroom-dev/greenroom/client"
	"github.com/greenroom-dev/greenroom/internal/command"
)

func (a *app) dashboardCommand() *cobra.Command {
	var port int
	var paste bool
	var at string
	cmd := &cobra.Command{
		Use: "dashboard", Short: "Forward a port to the dashboard, and print a link that logs you in, once", Args: command.NoArgs,
		Long: `Forwards a port of this machine's loopback to the dashboard of the operator that
leads, until it is interrupted, and prints a link. The link logs in whoever opens
it first, within five minutes, as you: by your kubeconfig's token, or by one of
--service-account. The login may what the token may, and ends with it.

With --url it forwards nothing: the link leads to where the operator is reached
otherwise, by an ingress.

A client certificate proves who you are to the API server alone. Take the
--service-account of somebody that you may make tokens for, or --paste, and paste
what this prints:  kubectl create token NAME --audience greenroom-operator`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.showDashboard(cmd.Context(), port, paste, strings.TrimSuffix(at, "/"))
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "port of 127.0.0.1; 0 for any that is free")
	cmd.Flags().BoolVar(&paste, "paste", false, "print the address without a login: a token is pasted there")
	cmd.Flags().StringVar(&at, "url", "", "where the operator is reached, such as https://greenroom.example.com; nothing is forwarded")
	return cmd
}

func (a *app) showDashboard(ctx context.Context, port int, paste bool, at string) error {
	k, fleet, err := a.conn.find(ctx)
	if err != nil {
		return err
	}
	made := client.MadeLogin{Link: fleetPath(k.namespace, fleet) + "/login"}
	if !paste {
		if made, err = a.makeLogin(ctx, k, fleet); err != nil {
			return err
		}
	}
	var l net.Listener
	if at == "" {
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
			return command.BadInputf("listen on this machine: %w; choose another --port", err)
		}
		defer l.Close()
		at = "http://" + l.Addr().String()
	}
	made.Link = at + made.Link
	if err := a.Print(made, func(w io.Writer) {
		fmt.Fprintln(w, made.Link)
		if made.Name != "" {
			a.Note("It logs %s in, once, within five minutes.", made.Name)
		}
	}); err != nil || l == nil {
		return err
	}
	a.Note("A port of this machine leads there until you interrupt this.")
	set, err := kubernetes.NewForConfig(k.config)
	if err != nil {
		return fmt.Errorf("set up a client of the cluster: %w", err)
	}
	forward(ctx, l, a.conn.dialer(k, set), func(err error) { a.Note("%v", err) })
	return nil
}

func (a *app) makeLogin(ctx context.Context, k cluster, fleet string) (client.MadeLogin, error) {
	api, err := a.conn.clientOf(ctx, k, fleet)
	if errors.Is(err, errNoToken) {
		err = command.BadInputf("%w; or add --paste, and paste what kubectl create token NAME --audience greenroom-operator prints", errNoToken)
	}
	if err != nil {
		return client.MadeLogin{}, err
	}
	return api.MakeLogin(ctx, client.MakeLogin{})
}

// forward joins each connection to a listener with one of its own to the
// operator, until ctx is done, and returns when all have ended.
func forward(ctx context.Context, l net.Listener, dial func(context.Context) (net.Conn, error), failed func(error)) {
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		here, err := l.Accept()
		if err != nil {
			if ctx.Err() == nil {
				failed(fmt.Errorf("take connections: %w", err))
			}
			return
		}
		all.Go(func() {
			defer here.Close()
			there, err := dial(ctx)
			if err != nil {
				if ctx.Err() == nil {
					failed(err)
				}
				return
			}
			join(ctx, here, there)
		})
	}
}

// join carries bytes both ways until either end has none, or ctx is done.
func join(ctx context.Context, here, there net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{here, there}, {there, here}} {
		both.Go(func() {
			defer cancel()
			_, _ = io.Copy(way[0], way[1]) // however it ends, this is the end
		})
	}
	<-ctx.Done()
	_, _ = here.Close(), there.Close()
	both.Wait()
}
