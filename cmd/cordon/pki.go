package main

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cordon/console"
	"cordon/pki"
	"cordon/policy"
)

type pkiCommand struct {
	Init   pkiInitCommand   `cmd:"" help:"Make a certificate authority, and the gateway's certificate."`
	Enrol  pkiEnrolCommand  `cmd:"" help:"Make a device's certificate; of the name gateway, Cordon's own."`
	Renew  pkiRenewCommand  `cmd:"" help:"Make the next one, while the old one stays valid."`
	Revoke pkiRevokeCommand `cmd:"" help:"End certificates before their time."`
	CRL    pkiCRLCommand    `cmd:"" name:"crl" help:"Sign the revocation list anew and print where it is."`
	List   pkiListCommand   `cmd:"" help:"Certificates, until when, and their fingerprints."`
}

// keyKind is a flag.
type keyKind struct {
	Key pki.Algorithm `enum:"p256,rsa2048,rsa3072" default:"p256" help:"Kind of key: ${enum} (${default}). Old devices need RSA."`
}

type pkiInitCommand struct {
	keyKind
	Host    []string `placeholder:"HOST" help:"Address or name by which devices call Cordon; may be given again. Without one, this machine's name and the addresses in the configuration."`
	Years   int      `default:"10" help:"Validity of the authority, 1 to 20 (${default})."`
	Replace bool     `help:"End the authority that there is; every device must be enrolled anew."`
	As      string   `required:"" placeholder:"NAME" help:"Who you are; recorded."`
}

// Run makes the authority and the gateway's certificate, and says what to write
// into the configuration.
func (c pkiInitCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	hosts := c.Host
	if len(hosts) == 0 {
		hosts = ownHosts(config)
	}
	if err := at.prepare(ctx, config); err != nil {
		return err
	}
	var authority pki.Certificate
	rq := console.PKIRequest{By: c.As, Algorithm: c.Key, Years: c.Years, Replace: c.Replace}
	if err := at.postPKI(ctx, "init", rq, &authority); err != nil {
		return err
	}
	var gateway pki.Issued
	rq = console.PKIRequest{By: c.As, Name: pki.GatewayName, Hosts: hosts, Algorithm: c.Key}
	if err := at.postPKI(ctx, "enrol", rq, &gateway); err != nil {
		return fmt.Errorf("the authority is made, the gateway's certificate is not: %w; then say cordon pki enrol gateway --host HOST", err)
	}
	dir := filepath.Join(config.Data, "pki")
	fmt.Fprintf(std.out, `authority until %s, gateway for %s until %s
In the configuration:
gateway:
  tls:
    listen: :2762
    certificate: %[4]s/gateway.pem
    key: %[4]s/gateway.key
    clients: %[4]s/ca.pem
    crl: %[4]s/crl.pem
Devices trust %[4]s/ca.pem. Keep a copy of the directory where nobody else can read it.
`, authority.NotAfter.Format(time.DateOnly), strings.Join(hosts, ", "), gateway.NotAfter.Format(time.DateOnly), dir)
	return nil
}

// ownHosts are the names and addresses of this machine that devices are likely to
// call.
func ownHosts(config Config) []string {
	var out []string
	if name, err := os.Hostname(); err == nil && name != "" {
		out = append(out, name)
	}
	listens := []string{config.Gateway.Listen}
	if config.Gateway.TLS != nil {
		listens = append(listens, config.Gateway.TLS.Listen)
	}
	seen := map[string]bool{}
	for _, listen := range listens {
		host, _, err := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); err == nil && ip != nil && !ip.IsUnspecified() && !seen[host] {
			seen[host] = true
			out = append(out, host)
		}
	}
	return out
}

// prepare makes the data directory of a Cordon that has never run, so that the
// authority can be there before it does.
func (p place) prepare(ctx context.Context, config Config) error {
	if _, err := os.Stat(filepath.Join(config.Data, "cordon.db")); err == nil {
		return nil
	}
	parts, err := openParts(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return failure{2, err}
	}
	return parts.close()
}

// postPKI asks the certificate authority for something.
func (p place) postPKI(ctx context.Context, action string, rq console.PKIRequest, answer any) error {
	control, err := p.control(ctx)
	if err != nil {
		return err
	}
	err = control.ask(ctx, http.MethodPost, "pki/"+action, rq, answer)
	if closed := control.close(); err == nil {
		err = closed
	}
	return err
}

// enrolment is what enrol and renew have in common.
type enrolment struct {
	keyKind
	Name   string   `arg:"" help:"The device, as the configuration calls it; or gateway."`
	Host   []string `placeholder:"HOST" help:"Address or name under which it listens, if it does; may be given again."`
	Days   int      `help:"Validity, up to 732; 731 for devices, 366 for the gateway without this."`
	CSR    string   `name:"csr" placeholder:"FILE" help:"Certification request (PEM or DER) of a device that has made its own key."`
	Output string   `short:"o" default:"." placeholder:"DIR" help:"Folder for NAME.pem, NAME.key and ca.pem; here without it."`
	P12    bool     `name:"p12" help:"Write one PKCS #12 file, NAME.p12, instead; its password is made up and printed once."`
	Legacy bool     `help:"With --p12: the encryption that old devices read."`
	As     string   `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	JSON   bool     `help:"One JSON object."`
}

type pkiEnrolCommand struct{ enrolment }

func (c pkiEnrolCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.run(ctx, at, std, "enrol")
}

type pkiRenewCommand struct{ enrolment }

func (c pkiRenewCommand) Run(ctx context.Context, at place, std stdio) error {
	return c.run(ctx, at, std, "renew")
}

func (c enrolment) run(ctx context.Context, at place, std stdio, action string) error {
	rq := console.PKIRequest{By: c.As, Name: c.Name, Hosts: c.Host, Days: c.Days}
	if c.Name == pki.GatewayName {
		rq.Algorithm = c.Key
		if len(rq.Hosts) == 0 {
			config, err := at.config()
			if err != nil {
				return err
			}
			rq.Hosts = ownHosts(config)
		}
		var issued pki.Issued
		if err := at.postPKI(ctx, action, rq, &issued); err != nil {
			return err
		}
		return c.said(at, std, issued, "")
	}
	if c.CSR != "" {
		return c.fromCSR(ctx, at, std, action, rq)
	}
	return c.withKey(ctx, at, std, action, rq)
}

// fromCSR certifies a key that the device has made and keeps.
func (c enrolment) fromCSR(ctx context.Context, at place, std stdio, action string, rq console.PKIRequest) error {
	if c.P12 {
		return failure{2, errors.New("--p12 needs the key, which a device that sends a request keeps: leave one of --csr and --p12 out")}
	}
	text, err := readSmallFile(c.CSR)
	if err != nil {
		return failure{2, err}
	}
	rq.CSR = text
	if block, _ := pem.Decode(text); block != nil {
		rq.CSR = block.Bytes
	}
	if err := c.free(".pem"); err != nil {
		return failure{2, err}
	}
	var issued pki.Issued
	if err := at.postPKI(ctx, action, rq, &issued); err != nil {
		return err
	}
	if err := c.write(issued, nil); err != nil {
		return err
	}
	return c.said(at, std, issued, "")
}

// withKey makes the key here. Only the request for its certificate leaves this
// process, and nobody keeps the key but who asked for it.
func (c enrolment) withKey(ctx context.Context, at place, std stdio, action string, rq console.PKIRequest) error {
	if err := c.free(".pem", ".key", ".p12"); err != nil {
		return failure{2, err}
	}
	key, err := pki.NewKey(c.Key)
	if err != nil {
		return err
	}
	if rq.CSR, err = pki.NewRequest(c.Name, key); err != nil {
		return err
	}
	var issued pki.Issued
	if err := at.postPKI(ctx, action, rq, &issued); err != nil {
		return err
	}
	password := ""
	if c.P12 {
		password = rand.Text()
		err = c.bundle(issued, key, password)
	} else {
		err = c.write(issued, key)
	}
	if err != nil {
		return fmt.Errorf("the certificate was issued and is lost; revoke it (cordon pki revoke %s --fingerprint %s) and try again: %w", c.Name, issued.Fingerprint[:16], err)
	}
	return c.said(at, std, issued, password)
}

// free reports whether the files can be made, before anything is issued.
func (c enrolment) free(endings ...string) error {
	if info, err := os.Stat(c.Output); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder that is there: make it, or choose another with -o", c.Output)
	}
	for _, ending := range endings {
		if path := c.path(ending); exists(path) {
			return fmt.Errorf("%s is there already: choose another folder with -o", path)
		}
	}
	probe, err := os.CreateTemp(c.Output, ".tmp-*")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (c enrolment) path(ending string) string { return filepath.Join(c.Output, c.Name+ending) }

// write writes the key, unless the device has it, then its certificate.
func (c enrolment) write(issued pki.Issued, key crypto.Signer) error {
	if key != nil {
		text, err := pki.KeyPEM(key)
		if err != nil {
			return err
		}
		if err := writeText(c.path(".key"), text); err != nil {
			return err
		}
	}
	if err := writeText(c.path(".pem"), []byte(issued.PEM)); err != nil {
		return err
	}
	ca := filepath.Join(c.Output, "ca.pem")
	if exists(ca) {
		return nil // of the device before this one
	}
	return writeText(ca, []byte(issued.Authority))
}

func (c enrolment) bundle(issued pki.Issued, key crypto.Signer, password string) error {
	file, err := issued.PKCS12(key, password, c.Legacy)
	if err != nil {
		return err
	}
	return writeText(c.path(".p12"), file)
}

func writeText(path string, text []byte) error {
	return createNew(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// said reports what was issued, and a password that is nowhere else.
func (c enrolment) said(at place, std stdio, issued pki.Issued, password string) error {
	if c.JSON {
		return json.NewEncoder(std.out).Encode(struct {
			pki.Certificate
			Password string `json:"password,omitempty"`
		}{issued.Certificate, password})
	}
	fmt.Fprintf(std.out, "%s until %s\nfingerprint %s\n", issued.Name, issued.NotAfter.Format(time.DateOnly), issued.Fingerprint)
	if password != "" {
		fmt.Fprintf(std.out, "password of %s: %s\n", c.path(".p12"), password)
	}
	if config, err := at.config(); err == nil && knownByOthers(config, issued) {
		fmt.Fprintf(std.out, "the configuration knows %s by other certificates and refuses this one: add it there and restart Cordon before the device has it\n", issued.Name)
	}
	return nil
}

// knownByOthers reports whether the device is declared with certificates, and this
// is none of them.
func knownByOthers(config Config, issued pki.Issued) bool {
	return slices.ContainsFunc(config.Devices, func(v DeviceConfig) bool {
		return v.Name == issued.Name && len(v.Certificates) > 0 &&
			!slices.ContainsFunc(v.Certificates, func(f policy.Fingerprint) bool { return f.String() == issued.Fingerprint })
	})
}

type pkiRevokeCommand struct {
	Name        string `arg:"" help:"The device; or gateway."`
	Fingerprint string `placeholder:"HEX" help:"Only the certificate whose fingerprint begins so."`
	Older       bool   `help:"Only those older than the newest, after a renewal."`
	As          string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason      string `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
}

func (c pkiRevokeCommand) Run(ctx context.Context, at place, std stdio) error {
	var revoked []pki.Certificate
	rq := console.PKIRequest{By: c.As, Name: c.Name, Fingerprint: c.Fingerprint, Older: c.Older, Reason: c.Reason}
	if err := at.postPKI(ctx, "revoke", rq, &revoked); err != nil {
		return err
	}
	for _, one := range revoked {
		fmt.Fprintf(std.out, "%s %s is revoked and on the list\n", one.Name, one.Fingerprint)
	}
	return nil
}

type pkiCRLCommand struct{}

func (pkiCRLCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	if err := at.postPKI(ctx, "crl", console.PKIRequest{}, &struct{}{}); err != nil {
		return err
	}
	fmt.Fprintln(std.out, filepath.Join(config.Data, "pki", "crl.pem"))
	return nil
}

type pkiListCommand struct {
	All  bool `help:"Also those that are not valid any more."`
	JSON bool `help:"One JSON object a line."`
}

func (c pkiListCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	path, table, n := "pki", newTable(std.out), 0
	if c.All {
		path += "?all=true"
	}
	err = each(ctx, control, path, func(one pki.Certificate) error {
		if c.JSON {
			return json.NewEncoder(std.out).Encode(one)
		}
		if n++; n == 1 {
			fmt.Fprint(table, "NAME\tKIND\tSTATE\tUNTIL\tFINGERPRINT\n")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", one.Name, one.Kind, one.State, one.NotAfter.Local().Format(time.DateOnly), one.Fingerprint)
		return nil
	})
	table.Flush()
	if err == nil && n == 0 && !c.JSON {
		fmt.Fprintln(std.out, "nothing; make an authority with cordon pki init")
	}
	return err
}
