-- Prints the figures of a run in one line for the harness.
done = function(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format("WIRE requests=%d microseconds=%d bytes=%d p50=%d p99=%d failed=%d\n",
      summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
      errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
