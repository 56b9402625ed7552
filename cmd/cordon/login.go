package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"cordon/console/login"
	"cordon/people"
	"cordon/store"
)

// loginCommand keeps a session, or an API token, in a file of the user's for the
// commands that follow. The variable CORDON_TOKEN stands above it.
type loginCommand struct {
	Name  string `arg:"" optional:"" help:"Your name; asked for if it is not given."`
	Token bool   `help:"Instead of a password, an API token from standard input (for who signs in by passkey or elsewhere)."`
}

// Run reads the password from a terminal, or a line of standard input.
func (c loginCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.connect(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	in := bufio.NewReader(std.in)
	var entered login.Entered
	if c.Token {
		entered, err = c.byToken(ctx, control, in, std)
	} else {
		entered, err = c.byPassword(ctx, control, in, std)
	}
	if err != nil {
		return err
	}
	if err := at.keepSecret(entered.Secret); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "signed in as %s\n", printable(entered.Name))
	return nil
}

func (c loginCommand) byPassword(ctx context.Context, control *control, in *bufio.Reader, std stdio) (e login.Entered, err error) {
	if c.Name == "" {
		fmt.Fprint(std.err, "Name: ")
		if c.Name, err = line(in); err != nil {
			return e, err
		}
	}
	password, err := hidden(std, in, "Password: ")
	if err != nil {
		return e, err
	}
	err = control.ask(ctx, http.MethodPost, "login", login.Credentials{Name: c.Name, Password: password}, &e)
	return e, err
}

func (c loginCommand) byToken(ctx context.Context, control *control, in *bufio.Reader, std stdio) (e login.Entered, err error) {
	if e.Secret, err = hidden(std, in, "API token: "); err != nil {
		return e, err
	}
	if !strings.HasPrefix(e.Secret, people.TokenPrefix) {
		return e, failure{2, fmt.Errorf("an API token begins with %s; make one on your own page of the console", people.TokenPrefix)}
	}
	control.secret = e.Secret
	var own login.Own
	err = control.get(ctx, "me", &own)
	e.Name = own.Name
	return e, err
}

// hidden reads a line that is not shown where it is typed.
func hidden(std stdio, in *bufio.Reader, prompt string) (string, error) {
	f, ok := std.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return line(in)
	}
	fmt.Fprint(std.err, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(std.err)
	return string(text), err
}

// maxLine bounds what is typed.
const maxLine = 4096

func line(in *bufio.Reader) (string, error) {
	text, err := in.ReadString('\n')
	switch {
	case errors.Is(err, io.EOF) && text == "":
		return "", failure{2, errors.New("standard input has no line: type the password, or pipe it in")}
	case err != nil && !errors.Is(err, io.EOF):
		return "", err
	}
	if len(text) > maxLine {
		return "", failure{2, errors.New("the line is too long")}
	}
	return strings.TrimRight(text, "\r\n"), nil
}

type logoutCommand struct{}

// Run ends the session, and forgets it in any case.
func (c logoutCommand) Run(ctx context.Context, at place, std stdio) error {
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	defer control.close()
	if control.secret == "" {
		fmt.Fprintln(std.out, "nobody was signed in")
		return nil
	}
	if !strings.HasPrefix(control.secret, people.TokenPrefix) { // a token stays good until its end
		err = control.ask(ctx, http.MethodPost, "logout", nil, &struct{}{})
	}
	if forgotten := at.keepSecret(""); forgotten != nil {
		return forgotten
	}
	if err == nil {
		fmt.Fprintln(std.out, "signed out")
	}
	return err
}

// ownName leaves --as out for who has signed in: decisions are made under their own
// name then, and Cordon knows it.
func ownName(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if flag.Name != "as" {
		return nil, nil
	}
	if os.Getenv("CORDON_TOKEN") != "" {
		return "", nil
	}
	if all, _, err := readSecrets(); err == nil && len(all) > 0 { // an error is told by who needs them
		return "", nil
	}
	return nil, nil
}

// secrets are what somebody signed in with, by where.
type secrets map[string]string

// secretsFile is in the user's own folder, for this user's eyes alone.
func secretsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "cordon", "tokens.json"), nil
}

func readSecrets() (secrets, string, error) {
	path, err := secretsFile()
	if err != nil {
		return secrets{}, "", nil // a service has no folder of its own, and signs in nowhere
	}
	text, err := store.ReadPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets{}, path, nil
	}
	all := secrets{}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return nil, path, fmt.Errorf("reading %s: %w (cordon login writes it anew once it is removed)", path, err)
	}
	return all, path, nil
}

// key names where somebody signs in: a console, or a data directory here.
func (p place) key() (string, error) {
	if p.URL != "" {
		return strings.TrimRight(p.URL, "/"), nil
	}
	config, err := p.config()
	if err != nil {
		return "", err
	}
	return filepath.Abs(config.Data)
}

// secret is what somebody has signed in with here; "" for nobody.
func (p place) secret() (string, error) {
	if s := os.Getenv("CORDON_TOKEN"); s != "" {
		return s, nil
	}
	all, _, err := readSecrets()
	if err != nil {
		return "", err
	}
	key, err := p.key()
	return all[key], err
}

// keepSecret keeps what somebody has signed in with; "" forgets it.
func (p place) keepSecret(secret string) error {
	all, path, err := readSecrets()
	if err != nil {
		return err
	}
	if path == "" {
		return errors.New("this user has no folder for configuration ($HOME): set CORDON_TOKEN to an API token instead")
	}
	key, err := p.key()
	if err != nil {
		return err
	}
	if all[key] = secret; secret == "" {
		delete(all, key)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return store.WriteFile(path, append(text, '\n'), 0o600)
}

// elsewhere connects to the console of another machine.
func (p place) elsewhere() (*control, error) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "":
		return nil, failure{2, fmt.Errorf("--url %q: write https://cordon.example.org, without a path", p.URL)}
	case u.Scheme == "http" && !loopback(withPort(u.Host)):
		return nil, failure{2, fmt.Errorf("--url %q: over plain HTTP others on the way would read what you sign in with: write https://…", p.URL)}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true}
	return &control{
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		close:  func() error { transport.CloseIdleConnections(); return nil },
		base:   u.Scheme + "://" + u.Host,
	}, nil
}

// withPort adds a port to a host that has none.
func withPort(host string) string {
	if u, err := url.Parse("http://" + host); err == nil && u.Port() == "" {
		return host + ":80"
	}
	return host
}
