package cluster

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pki is the folder with the cluster's keys, certificates, tokens and
// kubeconfigs. All of it is made anew for each cluster and goes with it.
type pki struct{ dir string }

// users of the API server; each gets a token and a kubeconfig.
var users = []struct{ file, user, group string }{
	{"admin", "admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"kubelet", "system:node:" + nodeName, "system:nodes"},
	{"kube-proxy", "system:kube-proxy", ""},
}

func pkiOf(state string) *pki { return &pki{dir: filepath.Join(state, "pki")} }

func (p *pki) path(name string) string       { return filepath.Join(p.dir, name) }
func (p *pki) kubeconfig(user string) string { return p.path(user + ".kubeconfig") }
func (p *pki) adminToken() (string, error) {
	b, err := os.ReadFile(p.path("admin.token"))
	return string(b), err
}
func (p *pki) write(name string, b []byte) error { return os.WriteFile(p.path(name), b, 0o600) }

func (c *Cluster) makePKI(context.Context) error {
	c.pki = pkiOf(c.state)
	if err := os.Mkdir(c.pki.dir, 0o700); err != nil {
		return err
	}
	if err := c.pki.makeCertificates(); err != nil {
		return err
	}
	if err := c.pki.makeUsers(); err != nil {
		return err
	}
	admin, err := os.ReadFile(c.pki.kubeconfig("admin"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Kubeconfig(), admin, 0o600); err != nil {
		return err
	}
	c.api, err = newAPIClient(c.pki)
	return err
}

// makeCertificates makes an authority of the cluster's own (ca.crt) and, from
// it, what the API server and the kubelet serve with and what the API server
// shows to the kubelet. sa.key signs the service accounts' tokens.
func (p *pki) makeCertificates() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "greenroom test cluster"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if err := p.issue("ca", ca, ca, caKey, caKey); err != nil {
		return err
	}
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	node := net.ParseIP(nodeIP)
	leaves := map[string]*x509.Certificate{
		"apiserver": {
			Subject:     pkix.Name{CommonName: "kube-apiserver"},
			ExtKeyUsage: server,
			IPAddresses: []net.IP{node, net.IPv4(127, 0, 0, 1), net.ParseIP(apiServiceIP)},
			DNSNames:    []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"},
		},
		"kubelet": {
			Subject:     pkix.Name{CommonName: nodeName},
			ExtKeyUsage: server,
			IPAddresses: []net.IP{node},
			DNSNames:    []string{nodeName},
		},
		"apiserver-kubelet-client": {
			Subject:     pkix.Name{CommonName: "kube-apiserver", Organization: []string{"system:masters"}},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		},
		"sa": {Subject: pkix.Name{CommonName: "service accounts"}},
	}
	for name, leaf := range leaves {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		leaf.KeyUsage = x509.KeyUsageDigitalSignature
		if err := p.issue(name, leaf, ca, key, caKey); err != nil {
			return err
		}
	}
	return nil
}

// issue writes name.crt and name.key, valid for a year.
func (p *pki) issue(name string, cert, parent *x509.Certificate, key, signer crypto.Signer) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	cert.SerialNumber = serial
	cert.NotBefore = time.Now().Add(-time.Hour)
	cert.NotAfter = time.Now().Add(365 * 24 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("issuing the certificate %s: %w", name, err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := p.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})); err != nil {
		return err
	}
	return p.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// makeUsers writes tokens.csv for the API server, and each user's kubeconfig.
func (p *pki) makeUsers() error {
	var tokens strings.Builder
	for _, u := range users {
		token := rand.Text()
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, u.user, u.user, u.group)
		config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: cluster
contexts: [{name: cluster, context: {cluster: cluster, user: %[1]q}}]
clusters: [{name: cluster, cluster: {server: %[2]q, certificate-authority: %[3]q}}]
users: [{name: %[1]q, user: {token: %[4]s}}]
`, u.user, apiURL, p.path("ca.crt"), token)
		if err := p.write(u.file+".kubeconfig", []byte(config)); err != nil {
			return err
		}
		if u.file == "admin" {
			if err := p.write("admin.token", []byte(token)); err != nil {
				return err
			}
		}
	}
	return p.write("tokens.csv", []byte(tokens.String()))
}
