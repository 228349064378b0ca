# Varnish as a PoP's cache, an edge behind it. Debian's package will do.
#
#   varnishd -a 127.0.0.1:8000 -f /etc/rehydration/default.vcl -s malloc,4g
#
# The edge is told where to send purges (EDGE_VARNISH_URLS). To adapt: the edge's address, who may
# purge, the storage.
vcl 4.1;

import std;

backend edge {
    .host = "127.0.0.1";
    .port = "8080";
    # Longer than an edge's own deadlines together.
    .first_byte_timeout = 30s;
    .between_bytes_timeout = 10s;
}

acl purgers {
    "127.0.0.1";
    "::1";
}

sub vcl_recv {
    if (req.method == "PURGE") {
        return (synth(701));
    }
    set req.http.Host = regsub(std.tolower(req.http.Host), ":[0-9]*$", "");

    # What the client can show, in one of four spellings: one variant per image and form, not one
    # per browser version. Ranges with a weight are left to the default, which everyone can show.
    set req.http.X-Shows = "*/*";
    if (req.http.Accept ~ "(?i)(^|,)\s*image/webp\s*(,|$)") {
        set req.http.X-Shows = "image/webp," + req.http.X-Shows;
    }
    if (req.http.Accept ~ "(?i)(^|,)\s*image/avif\s*(,|$)") {
        set req.http.X-Shows = "image/avif," + req.http.X-Shows;
    }
    set req.http.Accept = req.http.X-Shows;
    unset req.http.X-Shows;

    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Cookies and Authorization keep nothing from being looked up: what lies here is what the edge
    # keeps for everyone, and it keeps nothing that it fetched with either.
    return (hash);
}

sub vcl_synth {
    if (resp.status == 701) {
        call purge_tagged;
        set resp.http.Content-Type = "text/plain";
        set resp.body = resp.reason + {"
"};
        return (deliver);
    }
}

# A ban is of objects older than itself, tested as they are asked for: at once, whatever their number.
sub purge_tagged {
    if (client.ip !~ purgers) {
        set resp.status = 403;
        set resp.reason = "this address may not purge";
    } elsif (!req.http.X-Purge-Tags) {
        set resp.status = 400;
        set resp.reason = "name the tags in X-Purge-Tags";
    } elsif (std.ban("obj.http.X-Edge-Tags ~ (^|\s)(" + req.http.X-Purge-Tags + ")(\s|$)")) {
        set resp.status = 200;
        set resp.reason = "purged";
    } else {
        set resp.status = 400;
        set resp.reason = std.ban_error();
    }
}

sub vcl_backend_response {
    # Keep what the edge itself keeps, and nothing else: an answer that it may not share, or that a
    # purge overtook on its way, is not "stored" and no "hit".
    # What has no tags could not be purged.
    if (beresp.http.Cache-Status !~ "; (hit; ttl=[1-9]|.*; stored)" || !beresp.http.X-Edge-Tags) {
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
        return (deliver);
    }
    # The edge has read every field that says how long, also those that Varnish does not know.
    set beresp.ttl = std.duration(beresp.http.X-Accel-Expires + "s", 0s);
    # Stale answers only as far as the edge itself gives them while it revalidates: the default of
    # 10 s holds past must-revalidate, too, and Cache-Control alone says too much.
    set beresp.grace = std.duration(beresp.http.X-Edge-Grace + "s", 0s);
    # Past that it is good for being confirmed by a 304.
    set beresp.keep = 1h;
    return (deliver);
}

sub vcl_deliver {
    unset resp.http.X-Edge-Tags;
    unset resp.http.X-Edge-Grace;
    unset resp.http.X-Accel-Expires;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
    if (obj.hits > 0) {
        set resp.http.Cache-Status = resp.http.Cache-Status + ", varnish; hit";
    } else {
        set resp.http.Cache-Status = resp.http.Cache-Status + ", varnish; fwd=miss";
    }
}
