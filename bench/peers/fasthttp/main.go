// Command fasthttp is a proxy on fasthttp's server and client, routed by a
// header, upstream connections kept. Bodies are read whole, as fasthttp does
// unless told otherwise.
//
//	fasthttp LISTEN BACKEND HOP
package main

import (
	"bytes"
	"log"
	"os"

	"github.com/valyala/fasthttp"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: fasthttp LISTEN BACKEND HOP")
	}
	first, second, hop := client(os.Args[2]), client(os.Args[2]), client(os.Args[3])
	server := &fasthttp.Server{
		NoDefaultServerHeader: true,
		MaxRequestBodySize:    64 << 20,
		Handler: func(c *fasthttp.RequestCtx) {
			to := first
			switch {
			case bytes.HasPrefix(c.Path(), []byte("/hop")):
				to = hop
			case string(c.Request.Header.Peek("X-Greenroom-Release")) == "r2":
				to = second
			}
			c.Request.Header.Del("Connection")
			if err := to.Do(&c.Request, &c.Response); err != nil {
				c.Error(err.Error(), fasthttp.StatusBadGateway)
				return
			}
			c.Response.Header.Del("Connection")
		},
	}
	log.Fatal(server.ListenAndServe(os.Args[1]))
}

func client(to string) *fasthttp.HostClient {
	return &fasthttp.HostClient{Addr: to, MaxConns: 4096, NoDefaultUserAgentHeader: true, DisablePathNormalizing: true}
}
