# What every configuration here begins with. It decides nothing: it marks each answer
# with what Varnish did, and leaves all decisions to what comes after it.
vcl 4.1;

backend origin {
    .host = "127.0.0.1";
    .port = "${ORIGIN_PORT}";
}

sub vcl_recv {
    unset req.http.X-Did;
    if (req.url == "/ready") {
        return (synth(200));        # answered here: the origin counts no probe
    }
}

sub vcl_hit {
    if (obj.ttl > 0s) {
        set req.http.X-Did = "hit";
    } else {
        set req.http.X-Did = "stale";
    }
}

sub vcl_miss {
    set req.http.X-Did = "miss";
}

sub vcl_pass {
    set req.http.X-Did = "pass";
}

sub vcl_deliver {
    set resp.http.X-Did = req.http.X-Did;
}
