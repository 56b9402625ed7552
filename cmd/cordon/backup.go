package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"

	"cordon/backup"
	"cordon/console"
	"cordon/store"

	"filippo.io/age"
)

type backupCommand struct {
	File       string   `arg:"" optional:"" help:"The file to write, which is not there yet; or the one to verify."`
	To         []string `placeholder:"AGE1…" help:"Public key that the file is encrypted to; several may open it. --new-key makes one."`
	Passphrase string   `name:"passphrase-file" placeholder:"FILE" help:"File with a passphrase, instead of a key."`
	Verify     bool     `help:"Read FILE and hold all of it against the rest; needs --identity or --passphrase-file. No server needed."`
	Identity   string   `placeholder:"FILE" help:"With --verify: the secret key's file."`
	NewKey     string   `placeholder:"FILE" help:"Make a secret key in FILE, to be kept where Cordon is not, and print its public key."`
	JSON       bool     `help:"One JSON object."`
}

// Run makes a backup, of a Cordon that runs through it; or verifies one; or makes a
// key.
func (c backupCommand) Run(ctx context.Context, at place, std stdio) error {
	switch {
	case c.NewKey != "":
		return c.newKey(std)
	case c.File == "":
		return failure{2, errors.New("which file? cordon backup FILE --to AGE1…")}
	case c.Verify:
		return c.verify(ctx, std)
	}
	return c.make(ctx, at, std)
}

func (c backupCommand) newKey(std stdio) error {
	text, recipient, err := backup.NewKey()
	if err != nil {
		return err
	}
	if _, err := writeNew(c.NewKey, strings.NewReader(text)); err != nil {
		return err
	}
	fmt.Fprintln(std.out, recipient)
	fmt.Fprintf(std.err, "%s opens every backup that is made --to this key: keep it, and a copy, where neither Cordon nor the backups are\n", c.NewKey)
	return nil
}

func (c backupCommand) make(ctx context.Context, at place, std stdio) error {
	rq := console.BackupRequest{To: c.To}
	var err error
	if rq.Passphrase, err = passphrase(c.Passphrase); err != nil {
		return err
	}
	if _, err := backup.ParseTo(rq.To, rq.Passphrase, ""); err != nil {
		return failure{2, err}
	}
	control, err := at.control(ctx)
	if err != nil {
		return err
	}
	made, err := fetchBackup(ctx, control, rq, c.File)
	if closed := control.close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(std.out).Encode(made)
	}
	fmt.Fprintf(std.out, "%s: %s, %d objects, %d records of the ledger, SHA-256 %s\n", c.File, size(made.Bytes), made.Objects, made.Records, made.SHA256)
	for _, id := range made.Missing {
		fmt.Fprintf(std.err, "not in it: object %s, whose file is missing here\n", id)
	}
	return nil
}

// fetchBackup writes what is streamed to a file that is new, whole or not at all.
func fetchBackup(ctx context.Context, control *control, rq console.BackupRequest, path string) (made backup.Made, err error) {
	err = createNew(path, func(w io.Writer) error {
		text, err := json.Marshal(rq)
		if err != nil {
			return err
		}
		rsp, err := control.response(ctx, http.MethodPost, "backup", "application/json", bytes.NewReader(text))
		if err != nil {
			return err
		}
		defer rsp.Body.Close()
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), rsp.Body)
		if err != nil {
			return fmt.Errorf("after %s: %w (Cordon's log says why)", size(n), err)
		}
		if err := json.Unmarshal([]byte(rsp.Trailer.Get(console.BackupTrailer)), &made); err != nil {
			return errors.New("the answer ended without saying that it is whole")
		}
		if made.Bytes != n || made.SHA256 != fmt.Sprintf("%x", sum.Sum(nil)) {
			return errors.New("what arrived is not what was sent")
		}
		return nil
	})
	return made, err
}

func (c backupCommand) verify(ctx context.Context, std stdio) error {
	from, err := readingBackup(c.Identity, c.Passphrase)
	if err != nil {
		return err
	}
	f, _, err := openFile(c.File)
	if err != nil {
		return failure{2, err}
	}
	defer f.Close()
	report, err := backup.Verify(ctx, f, from)
	if err != nil {
		return err
	}
	return showBackup(std, report, c.JSON)
}

// readingBackup is how a backup is opened.
func readingBackup(identity, passphraseFile string) (backup.From, error) {
	from := backup.From{Migrations: migrations()}
	ids, err := identities(identity, passphraseFile)
	if err != nil {
		return from, failure{2, err}
	}
	from.Identities = ids
	return from, nil
}

func identities(identity, passphraseFile string) ([]age.Identity, error) {
	switch {
	case identity != "" && passphraseFile != "":
		return nil, errors.New("--identity or --passphrase-file, not both")
	case identity != "":
		text, err := store.ReadPrivate(identity)
		if err != nil {
			return nil, err
		}
		return backup.ReadIdentities(string(text))
	case passphraseFile != "":
		words, err := passphrase(passphraseFile)
		if err != nil {
			return nil, err
		}
		return backup.FromPassphrase(words)
	}
	return nil, errors.New("what opens it? --identity FILE, or --passphrase-file FILE")
}

// passphrase is the first line of a file that others may not read; "" without one.
func passphrase(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := store.ReadPrivate(path)
	if err != nil {
		return "", failure{2, err}
	}
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", failure{2, fmt.Errorf("%s: its first line is empty; it is the passphrase", path)}
	}
	return line, nil
}

// showBackup says what is in a backup that is whole.
func showBackup(std stdio, r backup.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	fmt.Fprintf(std.out, "whole: %s as of %s, made by Cordon %s for %s\n", printable(r.Site), moment(r.MadeAt), printable(r.Version), printable(r.By))
	fmt.Fprintf(std.out, "%d objects that were spooled or held, each with the bytes that were kept; %d other files\n", r.Objects-int64(len(r.Missing)), r.Files)
	fmt.Fprintf(std.out, "ledger: %d records, the last of %s, %d of them signed; key %s\n", r.Records, moment(r.LastRecord), r.Signed, r.Key)
	for _, id := range r.Missing {
		fmt.Fprintf(std.out, "lost before the backup was made: object %s\n", id)
	}
	return nil
}

// backupConfig is what a Maker needs to know of the configuration.
func (c Config) backup() backup.Config {
	b := backup.Config{Dir: c.Data, Site: c.Site, Version: version}
	if c.File != "" {
		b.Files = append(b.Files, c.File)
	}
	seen := map[string]bool{}
	for _, name := range c.named() {
		if path, err := filepath.Abs(name); err == nil && name != "" && !seen[path] && !inside(c.Data, path) {
			seen[path] = true
			b.Files = append(b.Files, path)
		}
	}
	return b
}

// named are the files that the configuration names and that Cordon cannot do its
// work without; some are "".
func (c Config) named() (names []string) {
	for _, end := range c.ends() {
		names = append(names, end.files.Certificate, end.files.Key, end.files.Authorities, end.files.CRL)
	}
	for _, a := range c.Archives {
		if a.Web != nil {
			names = append(names, a.Web.TokenFile, a.Web.PasswordFile)
		}
	}
	if c.Gateway.Web != nil {
		for _, t := range c.Gateway.Web.Tokens {
			names = append(names, t.Keys)
		}
	}
	for _, w := range c.Ledger.Witnesses {
		names = append(names, w.CA)
	}
	return names
}

// inside reports whether a file lies in the data directory, which is copied as it
// is.
func inside(dir, path string) bool {
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(absolute, path)
	return err == nil && filepath.IsLocal(rel)
}

type restoreCommand struct {
	File       string `arg:"" help:"The backup."`
	Identity   string `placeholder:"FILE" help:"The secret key's file."`
	Passphrase string `name:"passphrase-file" placeholder:"FILE" help:"File with the passphrase, instead of a key."`
	As         string `required:"" placeholder:"NAME" help:"Who you are; recorded."`
	Reason     string `required:"" placeholder:"TEXT" help:"Why; recorded. Write no patient data."`
	Ledger     string `placeholder:"EXPORT" help:"A later export of the ledger, kept elsewhere: names what was acknowledged since the backup."`
	JSON       bool   `help:"One JSON object a line."`
}

// Run makes a data directory of a backup, and says what it does not know.
func (c restoreCommand) Run(ctx context.Context, at place, std stdio) error {
	config, err := at.config()
	if err != nil {
		return err
	}
	from, err := readingBackup(c.Identity, c.Passphrase)
	if err != nil {
		return err
	}
	from.By, from.Reason = c.As, c.Reason
	f, _, err := openFile(c.File)
	if err != nil {
		return failure{2, err}
	}
	defer f.Close()
	report, err := backup.Restore(ctx, f, config.Data, from)
	if err != nil {
		return err
	}
	if err := showBackup(std, report, c.JSON); err != nil {
		return err
	}
	if err := c.later(std, report); err != nil {
		return fmt.Errorf("%s is restored, but: %w", config.Data, err)
	}
	if !c.JSON {
		c.next(std, config.Data, report)
	}
	return nil
}

// next says what is left to do.
func (c restoreCommand) next(std stdio, dir string, r backup.Report) {
	fmt.Fprintf(std.out, "restored to %s; the ledger says so. Compare its key with the one on paper.\n", dir)
	for _, name := range r.ConfigFiles {
		fmt.Fprintf(std.out, "from the backup, to be put back by you: %s\n", printable(filepath.Join(dir, "restored-config", name)))
	}
	fmt.Fprintln(std.out, "Start Cordon, then: cordon status --reconcile compares this with the archives. What was spooled is delivered, perhaps once more than before.")
	if c.Ledger == "" {
		fmt.Fprintf(std.out, "What was acknowledged after %s is not here. An export of the ledger that is later names it (--ledger EXPORT).\n", moment(r.MadeAt))
	}
}

// later names what was acknowledged since the backup, as far as an export knows.
func (c restoreCommand) later(std stdio, r backup.Report) error {
	if c.Ledger == "" {
		return nil
	}
	export, _, err := openFile(c.Ledger)
	if err != nil {
		return err
	}
	defer export.Close()
	later, err := backup.After(export, r.Manifest)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(std.out)
		for _, o := range later.Objects {
			if err := encoder.Encode(o); err != nil {
				return err
			}
		}
		return nil
	}
	lost := later.Lost()
	fmt.Fprintf(std.out, "the export knows %d records more, and %d objects that were acknowledged since: %d are in the archive, %d only at their senders\n",
		later.Records, len(later.Objects), len(later.Objects)-len(lost), len(lost))
	if len(lost) == 0 {
		return nil
	}
	table := newTable(std.out)
	defer table.Flush()
	fmt.Fprint(table, "SENT\tFROM\tFOR\tSTUDY\tINSTANCE\n")
	for _, o := range lost {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", moment(o.Time), printable(o.CallingAE), printable(o.Archive), printable(o.StudyInstanceUID), printable(o.SOPInstanceUID))
	}
	return nil
}

// unfinished is an error if a restore into the data directory was cut off.
func unfinished(dir string) error {
	if err := backup.Unfinished(dir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}
