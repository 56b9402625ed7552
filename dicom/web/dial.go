package web

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"time"
)

func dialer(l ClientLimits) func(context.Context, string, string) (net.Conn, error) {
	return (&net.Dialer{Timeout: l.Connect, KeepAlive: 30 * time.Second}).DialContext
}

// dialerTLS does the handshake as well, with the configuration of that moment.
func dialerTLS(t func() *tls.Config, l ClientLimits) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		var config *tls.Config
		if t != nil {
			config = t().Clone()
		}
		if config == nil {
			config = new(tls.Config)
		}
		config.ServerName = cmp.Or(config.ServerName, host)
		ctx, cancel := context.WithTimeout(ctx, l.Connect)
		defer cancel()
		nc, err := dialer(l)(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c := tls.Client(nc, config)
		if err := c.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, err
		}
		return c, nil
	}
}
