package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Status writes which processes of the cluster in the state folder live
// (empty: the one that this machine knows of), and whether its node is Ready.
// It returns an error when the cluster doesn't run or isn't whole.
func Status(ctx context.Context, state string, w io.Writer) error {
	known, err := readClaim()
	if err != nil {
		return err
	}
	if state, err = stateFolder(state, known.State); err != nil {
		return err
	}
	if state == "" {
		return errors.New("no cluster runs on this machine")
	}
	all := recorded(state)
	whole := true
	for _, name := range processNames {
		id, known := all[name]
		switch {
		case !known:
			fmt.Fprintf(w, "%-24s never started\n", name)
		case !id.alive():
			fmt.Fprintf(w, "%-24s dead (was process %d)\n", name, id.pid)
		default:
			fmt.Fprintf(w, "%-24s process %d\n", name, id.pid)
			continue
		}
		whole = false
	}
	if !whole {
		return fmt.Errorf("the cluster in %s isn't whole; its logs are there", state)
	}
	c := &Cluster{state: state, pki: pkiOf(state)}
	if c.api, err = newAPIClient(c.pki); err != nil {
		return err
	}
	if err := c.nodeReady(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w, "the node is Ready; gateway http://%s, KUBECONFIG=%s\n", c.Gateway(), c.Kubeconfig())
	return nil
}
