package main

import (
	"fmt"
	"slices"

	"cordon/dicom"
	"cordon/policy"
)

// wholeDevices holds the devices against one another, against the archives and
// against the gateway.
func (d *document) wholeDevices(c *Config) {
	names, titles := map[string]int{}, map[dicom.AETitle][]int{}
	for i, v := range c.Devices {
		at := fmt.Sprintf("devices[%d]", i)
		d.once(names, v.Name, i, at+".name")
		for _, j := range titles[v.AETitle] {
			if v.AETitle != "" && overlap(v, c.Devices[j]) {
				d.wrongAt(at+".ae_title", "%q is that of element [%d] too, and neither addresses nor certificates tell them apart; give each its own", v.AETitle, j)
				break
			}
		}
		titles[v.AETitle] = append(titles[v.AETitle], i)
		d.wholeWebDevice(c, &c.Devices[i], at)
		d.wholeIdentity(c, v, at)
		d.wholeRoutes(c, v, at)
		d.wholeServices(c, v, at)
	}
}

// overlap reports whether a peer could be either device.
func overlap(a, b policy.Device) bool {
	shared := slices.ContainsFunc(a.Certificates, func(f policy.Fingerprint) bool { return slices.Contains(b.Certificates, f) })
	if len(a.Certificates)+len(b.Certificates) > 0 && !shared {
		return false
	}
	if len(a.Addresses) == 0 || len(b.Addresses) == 0 {
		return true
	}
	for _, p := range a.Addresses {
		if slices.ContainsFunc(b.Addresses, p.Overlaps) {
			return true
		}
	}
	return false
}

// wholeIdentity looks for what a device is asked for and cannot show.
func (d *document) wholeIdentity(c *Config, v DeviceConfig, at string) {
	if v.AETitle == c.Gateway.AETitle && v.AETitle != "" {
		d.wrongAt(at+".ae_title", "%q is the gateway's own; a device has another", v.AETitle)
	}
	if v.PortTLS && v.Port == 0 {
		d.wrongAt(at+".port_tls", "this device has no port; add port, or take the line out")
	}
	if v.PortTLS && (c.Gateway.TLS == nil || c.Gateway.TLS.Clients == "") {
		d.wrongAt(at+".port_tls", "nobody is named who signs devices' certificates; add gateway.tls with clients")
	}
	overWeb := v.AETitle == "" && c.Gateway.Web != nil
	if v.TLSRequired && c.Gateway.TLS == nil && !(overWeb && c.Gateway.Web.TLS != nil) {
		d.wrongAt(at+".tls", "the gateway has no TLS listener, so this device could never associate; add gateway.tls, or write optional")
	}
	asked, ask := c.Gateway.TLS, "gateway.tls"
	if overWeb {
		asked, ask = c.Gateway.Web.TLS, "gateway.web.tls"
	}
	if len(v.Certificates) > 0 && (asked == nil || asked.Clients == "") {
		key := at + ".certificate"
		if _, ok := d.places[key]; !ok {
			key += "s"
		}
		d.wrongAt(key, "no certificate is ever asked for, so this device could never associate; add %s with clients, the authorities that sign such certificates", ask)
	}
	if _, ok := v.Outlet(); v.Port != 0 && !ok {
		d.wrongAt(at+".port", "the address that it is a port of cannot be told; add to addresses the one where the device listens, such as 10.1.2.3/32")
	}
}

// wholeRoutes looks for archives that a device names and cannot reach.
func (d *document) wholeRoutes(c *Config, v DeviceConfig, at string) {
	d.knownArchive(c, v.Archive, at+".archive")
	for i, a := range v.Archives {
		d.knownArchive(c, a, fmt.Sprintf("%s.archives[%d]", at, i))
	}
	for i, a := range v.Also {
		path := fmt.Sprintf("%s.also[%d]", at, i)
		d.knownArchive(c, a, path)
		switch {
		case a == v.Archive:
			d.wrongAt(path, "%q is the device's archive already; take it out", a)
		case slices.Contains(v.Also[:i], a):
			d.wrongAt(path, "%q is in this list already; take it out", a)
		}
		d.storingArchive(c, a, path)
	}
	d.storingArchive(c, v.Archive, at+".archive")
	if v.Archive != "" && len(v.Archives) > 0 && !slices.Contains(v.Archives, v.Archive) {
		d.wrongAt(at+".archive", "%q is none of the archives that the device may use (archives); add it there", v.Archive)
	}
}

// storingArchive notes an archive that images are sent to and that takes none.
func (d *document) storingArchive(c *Config, name, at string) {
	for _, a := range c.Archives {
		if a.Name == name && len(a.Services) > 0 && !slices.Contains(a.Services, policy.ServiceStore) {
			d.wrongAt(at, "%q takes no images: its services lack store", name)
		}
	}
}

// wholeServices looks for limits on what a device may not do at all, and for
// services that it may use and nobody serves.
func (d *document) wholeServices(c *Config, v DeviceConfig, at string) {
	lacks := func(s policy.Service) bool { return len(v.May) > 0 && !slices.Contains(v.May, s) }
	if len(v.SOPClasses) > 0 && lacks(policy.ServiceStore) {
		d.wrongAt(at+".sop_classes", "the device may not store at all; add store to may, or take this out")
	}
	if len(v.MoveTo) > 0 && lacks(policy.ServiceRetrieve) {
		d.wrongAt(at+".move_to", "the device may not retrieve at all; add retrieve to may, or take this out")
	}
	for i, s := range v.May {
		if s != policy.ServiceEcho && len(c.Archives) > 0 && !served(c.Archives, v, s) {
			d.wrongAt(fmt.Sprintf("%s.may[%d]", at, i), "no archive that the device may use serves %s; add it to an archive's services", s)
		}
	}
}

// served reports whether one of the archives that a device may use serves it.
func served(as []ArchiveConfig, v DeviceConfig, s policy.Service) bool {
	return slices.ContainsFunc(as, func(a ArchiveConfig) bool {
		return (len(v.Archives) == 0 || slices.Contains(v.Archives, a.Name)) &&
			(len(a.Services) == 0 || slices.Contains(a.Services, s))
	})
}
