-- What wrk runs: the requests of one load, and a summary that a program can read.
-- Arguments after `--`: method=POST, body=BYTES, paths=FILE.

function init(args)
  local paths
  for _, argument in ipairs(args) do
    local name, value = argument:match("^(%w+)=(.*)$")
    if name == "method" then
      wrk.method = value
    elseif name == "body" then
      wrk.body = string.rep("x", tonumber(value))
      wrk.headers["Content-Type"] = "application/octet-stream"
    elseif name == "paths" then
      paths = value
    end
  end
  if paths == nil then return end
  -- Formatted beforehand, so that choosing one costs next to nothing.
  local requests = {}
  for path in io.lines(paths) do
    requests[#requests + 1] = wrk.format(nil, path)
  end
  local position = 0
  request = function()
    position = position % #requests + 1
    return requests[position]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nSUMMARY {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failedStatus":%d,"socketErrors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
