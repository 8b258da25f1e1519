# Two returns too many. Each ends its step before the built-in VCL is asked, and that
# is where Cookie and Set-Cookie are looked at.
# ANCHOR: leaky
sub vcl_recv {
    if (req.method == "GET") {
        return (hash);
    }
}

sub vcl_backend_response {
    set beresp.ttl = 60s;
    return (deliver);
}
# ANCHOR_END: leaky
