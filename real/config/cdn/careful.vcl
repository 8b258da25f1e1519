# What a site may add to the built-in VCL. None of it ends a step where the built-in
# VCL would have gone on to look at cookies.

# ANCHOR: cookies
sub vcl_recv {
    if (req.url ~ "^/static/") {
        unset req.http.Cookie;               # the same for everybody
    }
}

sub vcl_backend_response {
    if (bereq.url ~ "^/static/") {
        unset beresp.http.Set-Cookie;
    }
}
# ANCHOR_END: cookies

# ANCHOR: stale
sub vcl_backend_response {
    if (beresp.http.Cache-Control ~ "(?i)must-revalidate|proxy-revalidate") {
        set beresp.grace = 0s;               # not even for the default ten seconds
    }
    set beresp.keep = 1h;                    # old enough to ask: has it changed?
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        return (abandon);                    # keep the stale answer, drop the error
    }
}
# ANCHOR_END: stale

# ANCHOR: purge
acl purgers {
    "127.0.0.1";
}

sub vcl_recv {
    if (req.method == "PURGE" || req.method == "BAN") {
        if (client.ip !~ purgers) {
            return (synth(405));
        }
        if (req.method == "PURGE") {
            return (purge);                  # this URL, all its variants
        }
        ban("obj.http.X-Tags ~ (^|,)" + req.http.X-Tag + "(,|$)");
        return (synth(200));
    }
}
# ANCHOR_END: purge
