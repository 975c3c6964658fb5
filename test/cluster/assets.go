package cluster

import (
	"context"
	"io"
)

// Assets are what an API server needs without a cluster around it, for tests
// of what speaks to the API server alone. Unlike a cluster it needs no root,
// and any number of them run beside each other and beside a cluster.
type Assets struct {
	Etcd      string `json:"etcd"`      // path of the program
	APIServer string `json:"apiServer"` // path of the program kube-apiserver
	Rollouts  string `json:"rollouts"`  // path of Argo's manifest, which has its CRDs
}

// FindAssets returns the assets that lie in the user's cache folder. With build
// it makes those that are missing first, which takes some ten minutes on two
// cores, once; without, it returns an error that wraps ErrNotAtHand. Log gets a
// line for each thing done; nil means nothing is written.
func FindAssets(ctx context.Context, build bool, log io.Writer) (Assets, error) {
	c, err := openCache(ctx, build, newProgress(log))
	if err != nil {
		return Assets{}, err
	}
	defer c.close()
	var modules []toolModule
	for _, m := range toolModules {
		if m.name == "kubernetes" || m.name == "rollouts" {
			modules = append(modules, m)
		}
	}
	t, err := c.fill(ctx, []folderOf{etcdFolder}, modules)
	if err != nil {
		return Assets{}, err
	}
	return Assets{Etcd: t.bin("etcd"), APIServer: t.bin("kube-apiserver"), Rollouts: t.bin("install.yaml")}, nil
}
