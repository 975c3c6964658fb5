package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
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
	for _, name := range processNames {
		id, known := all[name]
		switch {
		case known && id.alive():
			fmt.Fprintf(w, "%-24s process %d\n", name, id.pid)
		case known:
			fmt.Fprintf(w, "%-24s dead (was process %d)\n", name, id.pid)
		}
	}
	if !running(state) {
		return fmt.Errorf("the cluster in %s isn't whole; its logs are in %s", state, filepath.Join(state, "logs"))
	}
	c := &Cluster{state: state, pki: pkiOf(state)}
	if c.api, err = newAPIClient(c.pki); err != nil {
		return err
	}
	if _, node := all["kubelet"]; node {
		if err := c.nodeReady(ctx); err != nil {
			return err
		}
		fmt.Fprintf(w, "the node is Ready; gateway http://%s\n", c.Gateway())
	}
	fmt.Fprintf(w, "KUBECONFIG=%s\n", c.Kubeconfig())
	return nil
}
