// Command reverseproxy is what Go gives everybody: net/http and
// httputil.ReverseProxy, routed by a header, upstream connections kept.
//
//	reverseproxy LISTEN LISTEN-HTTP2 BACKEND BACKEND-HTTP2 HOP
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
)

func main() {
	if len(os.Args) != 6 {
		log.Fatal("usage: reverseproxy LISTEN LISTEN-HTTP2 BACKEND BACKEND-HTTP2 HOP")
	}
	plain := &http.Transport{MaxIdleConnsPerHost: 1100, DisableCompression: true}
	first, second, hop := proxy(os.Args[3], plain), proxy(os.Args[3], plain), proxy(os.Args[5], plain)
	streams := new(http.Protocols)
	streams.SetUnencryptedHTTP2(true)
	go func() {
		server := &http.Server{Addr: os.Args[2], Protocols: streams, Handler: proxy(os.Args[4], &http.Transport{Protocols: streams})}
		log.Fatal(server.ListenAndServe())
	}()
	log.Fatal(http.ListenAndServe(os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/hop"):
			hop.ServeHTTP(w, r)
		case r.Header.Get("X-Greenroom-Release") == "r2":
			second.ServeHTTP(w, r)
		default:
			first.ServeHTTP(w, r)
		}
	})))
}

func proxy(to string, transport http.RoundTripper) http.Handler {
	target := &url.URL{Scheme: "http", Host: to}
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport:     transport,
		FlushInterval: -1,
	}
}
