package cluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// apiURL is where the API server listens: on the node's bridge, so that pods
// reach it too.
const apiURL = "https://" + nodeIP + ":6443"

// apiClient speaks to the API server with every right.
type apiClient struct {
	http  *http.Client
	token string
}

func newAPIClient(p *pki) (*apiClient, error) {
	ca, err := os.ReadFile(p.path("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's authority: %w", err)
	}
	token, err := p.adminToken()
	if err != nil {
		return nil, fmt.Errorf("reading the admin's token: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return &apiClient{&http.Client{Transport: transport, Timeout: 30 * time.Second}, token}, nil
}

// metadataAlone is how lists are asked for without what is in their objects.
const metadataAlone = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// do sends a request; body and answer, where not nil, are JSON. An empty accept
// asks for whole objects.
func (a *apiClient) do(ctx context.Context, method, path, accept string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, apiURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", cmp.Or(accept, "application/json"))
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, b)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(b, answer)
}

// Get reads an object or a list of objects from the API server, by path, into
// answer.
func (c *Cluster) Get(ctx context.Context, path string, answer any) error {
	return c.api.do(ctx, http.MethodGet, path, "", nil, answer)
}

// List reads the metadata of the objects of a list, by path, into answer: of a
// large list that is a small part of the API server's work.
func (c *Cluster) List(ctx context.Context, path string, answer any) error {
	return c.api.do(ctx, http.MethodGet, path, metadataAlone, nil, answer)
}

// Patch merges a change, as JSON, into an object of the API server.
func (c *Cluster) Patch(ctx context.Context, path string, change []byte) error {
	return c.api.do(ctx, http.MethodPatch, path, "", change, nil)
}
