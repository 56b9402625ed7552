package policy

import (
	"net/netip"
	"testing"

	"cordon/dicom"
)

var site = Site{
	AETitle:  "CORDON",
	Unknown:  LearnUnknown,
	Archives: []Archive{{Name: "pacs", AETitle: "PACS"}, {Name: "vna", AETitle: "VNA"}},
	Devices: []Device{
		{Name: "ct-1", AETitle: "CT1", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.21/32")}},
		{Name: "us-a", AETitle: "US", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")}, Archive: "vna", Monitor: true},
		{Name: "us-b", AETitle: "US", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}, May: []Service{ServiceEcho}},
		{Name: "anywhere", AETitle: "ROAM"},
	},
}

func TestAdmit(t *testing.T) {
	strict := site
	strict.Unknown = RefuseUnknown
	for _, c := range []struct {
		name            string
		site            Site
		addr            string
		calling, called dicom.AETitle
		refusal         Refusal
		device, archive string
		learned         bool
	}{
		{"declared device", site, "10.0.0.21", "CT1", "CORDON", NotRefused, "ct-1", "pacs", false},
		{"IPv4 in IPv6", site, "::ffff:10.0.0.21", "CT1", "CORDON", NotRefused, "ct-1", "pacs", false},
		{"called title chooses the archive", site, "10.0.0.21", "CT1", "VNA", NotRefused, "ct-1", "vna", false},
		{"device's own archive", site, "10.0.1.9", "US", "CORDON", NotRefused, "us-a", "vna", false},
		{"called title outranks the device's archive", site, "10.0.1.9", "US", "PACS", NotRefused, "us-a", "pacs", false},
		{"same title told apart by address", site, "10.0.2.9", "US", "CORDON", NotRefused, "us-b", "pacs", false},
		{"no addresses means any", site, "192.0.2.1", "ROAM", "CORDON", NotRefused, "anywhere", "pacs", false},
		{"unknown device is learned", site, "10.9.9.9", "NEW", "CORDON", NotRefused, "", "pacs", true},
		{"unknown device is refused", strict, "10.9.9.9", "NEW", "CORDON", UnknownDevice, "", "", false},
		{"declared title from a foreign address", site, "10.9.9.9", "CT1", "CORDON", WrongAddress, "", "", false},
		{"unknown called title", site, "10.0.0.21", "CT1", "NOBODY", UnknownCalled, "ct-1", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.site.Admit(Association{Address: netip.MustParseAddr(c.addr), Calling: c.calling, Called: c.called})
			if got.Refusal != c.refusal || got.Device != c.device || got.Archive != c.archive || got.Learned != c.learned {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestGrants(t *testing.T) {
	proposed := []Context{
		{ID: 1, AbstractSyntax: dicom.Verification},
		{ID: 3, AbstractSyntax: dicom.CTImageStorage},
		{ID: 5, AbstractSyntax: "1.2.3.4.5.6"}, // a vendor's private storage class, perhaps
		{ID: 7, AbstractSyntax: dicom.StudyRootQueryRetrieveInformationModelFind},
		{ID: 9, AbstractSyntax: dicom.StorageCommitmentPushModel},
		{ID: 11, AbstractSyntax: dicom.MediaStorageDirectoryStorage},
		{ID: 13, AbstractSyntax: dicom.ModalityWorklistInformationModelFind},
	}
	scu := Roles{SCU: true}
	for _, c := range []struct {
		name string
		may  []Service
		want []Grant
	}{
		{"everything there is", nil, []Grant{
			{1, ServiceEcho, "", scu, Granted}, {3, ServiceStore, "pacs", scu, Granted}, {5, ServiceStore, "pacs", scu, Granted},
			{7, ServiceQuery, "pacs", scu, Granted}, {9, ServiceCommit, "pacs", scu, Granted}, {ID: 11, Reason: NotImplemented},
			{13, ServiceWorklist, "pacs", scu, Granted},
		}},
		{"echo alone", []Service{ServiceEcho}, []Grant{
			{1, ServiceEcho, "", scu, Granted}, {ID: 3, Reason: NotPermitted}, {ID: 5, Reason: NotPermitted},
			{ID: 7, Reason: NotPermitted}, {ID: 9, Reason: NotPermitted}, {ID: 11, Reason: NotImplemented}, {ID: 13, Reason: NotPermitted},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := site
			s.Devices = []Device{{Name: "ct", AETitle: "CT", May: c.may}}
			got := s.Admit(Association{Calling: "CT", Called: "CORDON", Contexts: proposed}).Contexts
			if len(got) != len(c.want) {
				t.Fatalf("got %+v", got)
			}
			for i := range c.want {
				if got[i] != c.want[i] {
					t.Errorf("context %d: got %+v, want %+v", c.want[i].ID, got[i], c.want[i])
				}
			}
		})
	}
}
