// Command cordon keeps malicious software out of a hospital's picture archive
// and imaging devices, and keeps imaging going while it does.
//
//	cordon up --demo          # run everything on safe defaults, with demo traffic
//	cordon inspect /media/cd  # judge files, no server needed
//	cordon vault list         # what is held
//
// This package holds the flags, the configuration file and the wiring, and
// nothing else: what Cordon does is in the packages that it wires.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// version is set by the linker to what git describe says.
var version = "unknown"

// commands is the whole command line.
type commands struct {
	place

	Up          upCommand          `cmd:"" help:"Run every line of defence of this machine."`
	Inspect     inspectCommand     `cmd:"" help:"Judge files and folders; no server needed."`
	Disarm      disarmCommand      `cmd:"" help:"Write copies of DICOM files without payloads around the data set."`
	Import      importCommand      `cmd:"" help:"Judge a CD, stick or folder; store what is admitted, hold the rest."`
	Send        sendCommand        `cmd:"" help:"Send DICOM files to an application entity (C-STORE)."`
	Echo        echoCommand        `cmd:"" help:"Ask an application entity whether it answers (C-ECHO)."`
	Status      statusCommand      `cmd:"" help:"Is imaging flowing? What is held?"`
	Vault       vaultCommand       `cmd:"" help:"See and decide what is held."`
	Study       studyCommand       `cmd:"" help:"Where a study is: delivered, waiting, held, refused."`
	Device      deviceCommand      `cmd:"" help:"The register of devices: what each does, and whom people approved."`
	Exception   exceptionCommand   `cmd:"" help:"Findings that are a device's habit, and hold its objects no longer."`
	Incident    incidentCommand    `cmd:"" help:"Devices that were attacked: what happened, who was told, what was imaged meanwhile."`
	Contain     containCommand     `cmd:"" help:"What is contained and what is proposed; with --dry-run, what would have been done."`
	Firewall    firewallCommand    `cmd:"" help:"The packet rules that are Cordon's: as the kernel has them, and applied again."`
	Network     networkCommand     `cmd:"" help:"Who talks to whom on the network, and what was unusual."`
	Recall      recallCommand      `cmd:"" help:"What was delivered before it was found harmful."`
	Commitment  commitmentCommand  `cmd:"" help:"What devices asked storage commitment for, and are not told yet."`
	Step        stepCommand        `cmd:"" help:"Messages about procedure steps whose archive is away."`
	Alarm       alarmCommand       `cmd:"" help:"What people must look at: acknowledge, assign, snooze; who is told."`
	Bypass      bypassCommand      `cmd:"" help:"Emergency: deliver whatever is found, for a while."`
	Backup      backupCommand      `cmd:"" help:"Copy the whole data directory into one encrypted file; Cordon may run."`
	Restore     restoreCommand     `cmd:"" help:"Make a data directory of a backup."`
	Ticket      ticketCommand      `cmd:"" help:"Visitors and remote service: who is let in, to what, for how long."`
	Plan        planCommand        `cmd:"" help:"The firewall plan: who needs to talk to whom, tried and enforced."`
	Transparent transparentCommand `cmd:"" help:"Devices that nobody may configure: their connections are led here on their way."`
	Deadman     deadmanCommand     `cmd:"" help:"The way past Cordon to the archive while it is down."`
	PKI         pkiCommand         `cmd:"" name:"pki" help:"Certificates for hospitals that have no authority of their own."`
	Setting     settingCommand     `cmd:"" help:"What people may change while Cordon runs; what a change would do."`
	Review      reviewCommand      `cmd:"" help:"Look back regularly at what was unusual, and sign."`
	Report      reportCommand      `cmd:"" help:"One page for management: a period in figures, with their sources."`
	Evidence    evidenceCommand    `cmd:"" help:"What can be shown of each control, on paper that can be checked."`
	Ledger      ledgerCommand      `cmd:"" help:"See and prove what happened."`
	Person      personCommand      `cmd:"" help:"Who has an account, and what each may do."`
	Login       loginCommand       `cmd:"" help:"Sign in, for the commands that decide something."`
	Logout      logoutCommand      `cmd:"" help:"Sign out."`
	Config      configCommand      `cmd:"" name:"config" help:"Check a configuration file."`
	Version     versionCommand     `cmd:"" help:"Print version, commit and dictionary edition."`
}

// place says which Cordon a command is about.
type place struct {
	ConfigFile string `name:"config" placeholder:"FILE" help:"Configuration file (YAML); without one, safe defaults."`
	DataDir    string `name:"data" placeholder:"DIR" help:"Data directory, instead of the configuration's or ./cordon-data."`
	URL        string `name:"url" env:"CORDON_URL" placeholder:"URL" help:"Console of a Cordon elsewhere, such as https://cordon.example.org, instead of one here."`
}

// config is the configuration of that Cordon, which may be running.
func (p place) config() (Config, error) {
	c := defaults()
	if p.ConfigFile != "" {
		var err error
		if c, err = readConfig(p.ConfigFile, false); err != nil {
			return Config{}, failure{2, err}
		}
		if c.File, err = filepath.Abs(p.ConfigFile); err != nil {
			return Config{}, failure{2, err}
		}
	}
	if p.DataDir != "" {
		c.Data = p.DataDir
	}
	return c, nil
}

// stdio is where a command reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // err is one: progress bars may be drawn there
}

// failure is an error with the exit code that it deserves. Without an error the
// command has said already what there is to say.
type failure struct {
	code int
	err  error
}

func (f failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f failure) Unwrap() error { return f.err }

func main() {
	// A second signal ends the process at once: the first one's handler is
	// taken away a second after ctx ends, since some send the same one twice.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], stdio{
		in:       os.Stdin,
		out:      os.Stdout,
		err:      os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}))
}

// output remembers the first error of standard output: a verdict that nobody
// could read is no success.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, std stdio) int {
	out := &output{Writer: std.out}
	std.out = out
	code := runCommand(ctx, args, std)
	if out.err != nil {
		fmt.Fprintf(std.err, "cordon: writing to standard output: %v\n", out.err)
		return 2
	}
	return code
}

func runCommand(ctx context.Context, args []string, std stdio) int {
	var cli commands
	exited := false
	parser := kong.Must(&cli,
		kong.Name("cordon"),
		kong.Description("A security gateway for medical imaging."),
		kong.Writers(std.out, std.err),
		kong.Exit(func(int) { exited = true }), // after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		kong.Resolvers(kong.ResolverFunc(ownName)),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited {
		return 0
	}
	if err != nil {
		fmt.Fprintf(std.err, "cordon: %v; see cordon --help\n", err)
		return 2
	}
	err = k.Run(cli.place)
	if err == nil {
		return 0
	}
	f := failure{1, err}
	errors.As(err, &f)
	if text := err.Error(); text != "" {
		fmt.Fprintf(std.err, "cordon: %s\n", text)
	}
	return f.code
}
