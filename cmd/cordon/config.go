package main

import (
	"net/netip"
	"time"

	"cordon/custody"
	"cordon/dicom"
	"cordon/engine"
	"cordon/gateway"
	"cordon/policy"
)

// Config is everything that a configuration file can say. The zero value is
// not usable; start from defaults.
type Config struct {
	File        string // absolute; "" without one
	Digest      string // SHA-256 of the file, in hexadecimal; "" without one
	Site        string // how people call this place
	Data        string // data directory
	Gateway     GatewayConfig
	Archives    []ArchiveConfig // none: a folder archive in Data/archive
	Devices     []DeviceConfig
	About       []AboutConfig // the same devices, in the same order
	Network     NetworkConfig
	Rules       policy.Rules
	Engines     EnginesConfig
	Console     ConsoleConfig
	Disk        custody.Watermarks // what the data directory's disk must have left; zero: what fits it
	Audit       AuditConfig
	Ledger      LedgerConfig
	Witness     *WitnessConfig // nil: it is no witness
	Plan        PlanConfig     // the network as a firewall plan sees it
	Containment ContainmentConfig
	Alarms      AlarmsConfig   // who is told of alarms outside this machine
	Deadman     *DeadmanConfig // nil: nothing leads past Cordon

	Values   map[string]string // what the file says, by key: see values
	Declared map[string]string // of the settings, those that the file sets: see package setting
	Said     []Said            // all that the file says, in its order, without secrets

	Arriving int // objects that may keep containers while they come in; 0: the default. The machine says it, not the file
	Shared   int // bytes of memory that objects under way have together; 0: the default. So of this
}

// GatewayConfig is the DICOM side.
type GatewayConfig struct {
	Listen          string // host:port
	AETitle         dicom.AETitle
	Unknown         policy.Unknown // what becomes of devices that are not declared
	MaxAssociations int
	MaxPerAddress   int // of these, from one address
	Commitment      CommitmentConfig
	Query           gateway.QueryConfig
	MaxPerDevice    int                // of these, of one declared device
	ConnectionRate  int                // connections a second from one address
	TLS             *TLSConfig         // a second listener
	Web             *WebConfig         // DICOMweb; nil: none
	Transparent     *TransparentConfig // nil: nothing is led here on its way
}

// TLSConfig is a listener with TLS 1.2 or 1.3, or, for the console, the TLS of
// its one listener.
type TLSConfig struct {
	Listen      string // host:port; "" for the console
	Certificate string // PEM file
	Key         string // PEM file
	Clients     string // PEM file of the authorities that sign the peers' certificates; "" asks for none
	CRL         string // file of revocation lists of Clients; "": revocation is not checked
	RefuseStale bool   // refuse peers whose authority's list is overdue or missing
}

// ArchiveTLSConfig is TLS towards an archive.
type ArchiveTLSConfig struct {
	CA          string // PEM file of the authorities that the archive's certificate must come from; "": the system's
	Certificate string // PEM file to show to it; "": none
	Key         string // of Certificate
	ServerName  string // that the archive's certificate is for; "": the host of its address
	CRL         string // file of revocation lists of CA
	RefuseStale bool
}

// ArchiveConfig is one upstream.
type ArchiveConfig struct {
	Name      string
	AETitle   dicom.AETitle
	Address   string            // host:port; "": it has DICOMweb alone
	Addresses []netip.Prefix    // it calls from; none: Address's own
	Services  []policy.Service  // none: all
	TLS       *ArchiveTLSConfig // nil: plain TCP
	Web       *ArchiveWebConfig // nil: it has no DICOMweb

	Delivery     gateway.Delivery
	Associations int           // that deliver from the spool at a time; 0: the default
	Probe        time.Duration // how long nothing may be heard of it before it is called; 0: the default
	Reuse        bool          // an association serves the next of the same device
}

// DeviceConfig is one declared peer.
type DeviceConfig = policy.Device

// EnginesConfig is what else judges the carved pieces of an object.
type EnginesConfig struct {
	Clamd  *engine.ClamdConfig
	ICAP   *engine.ICAPConfig
	Rescan int64  // bytes of copies of what was delivered unscanned; 0: the default
	Hashes string // file of SHA-256 digests of known harmful content
}

// ConsoleConfig is where people look.
type ConsoleConfig struct {
	Listen   string // host:port
	TLS      *TLSConfig
	URL      string // by which browsers reach it, without a slash at its end; "": made from Listen
	Sessions SessionsConfig
	OIDC     *OIDCConfig    // nil: nobody signs in elsewhere
	Metrics  []netip.Prefix // who may fetch the metrics without a token, once people have accounts
}

// defaults is the configuration of a site that has written none. Everything
// listens on loopback addresses alone.
func defaults() Config {
	return Config{
		Site: "Cordon",
		Data: "cordon-data",
		Gateway: GatewayConfig{
			Listen:          "127.0.0.1:11112",
			AETitle:         "CORDON",
			Unknown:         policy.LearnUnknown,
			MaxAssociations: 256,
			MaxPerAddress:   64,
			MaxPerDevice:    64,
			ConnectionRate:  50,
		},
		Rules:   policy.DefaultRules(),
		Console: ConsoleConfig{Listen: "127.0.0.1:8080"},
		Ledger:  LedgerConfig{Retention: defaultRetention, Late: defaultLate},
	}
}
