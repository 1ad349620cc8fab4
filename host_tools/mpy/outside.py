"""Names that belong to others: attributes of MicroPython's modules and objects, on any port that a node may have.

An attribute with such a name may be a socket's or a list's, so the bundler never gives it another name. Taken from
`dir()` of the runtimes that the tests run, and from MicroPython's documentation for what only the ESP32 has; a test
looks whether a runtime has one that is missing here. A name too many costs a few bytes, one too few a node.
"""

_WORDS = """
ADC AF_INET AF_INET6 AF_UNIX AP_IF ARRAY ATTN_0DB ATTN_11DB ATTN_2_5DB ATTN_6DB AUTO B1000000 B115200 B1152000
B230400 B460800 B500000 B57600 B576000 B921600 B9600 BFINT16 BFINT32 BFINT8 BFUINT16 BFUINT32 BFUINT8 BF_LEN BF_POS
BIG_ENDIAN Barrier BytesIO CERT_NONE CERT_OPTIONAL CERT_REQUIRED CTS CancelledError Condition DEEPSLEEP_RESET
DRIVE_0 DRIVE_1 DRIVE_2 DRIVE_3 DeflateIO EACCES EADDRINUSE EAGAIN EALREADY EBADF ECONNABORTED ECONNREFUSED
ECONNRESET EEXIST EHOSTUNREACH EINPROGRESS EINVAL EIO EISDIR ENOBUFS ENODEV ENOENT ENOMEM ENOTCONN EOPNOTSUPP EPERM
ESPNow ESPNowError ETIMEDOUT Event FLOAT32 FLOAT64 FrameBuffer FrameBuffer1 GS2_HMSB GS4_HMSB GS8 GZIP HARD_RESET
HEAP_DATA HEAP_EXEC I2C IF_AP IF_STA IN INT INT16 INT32 INT64 INT8 INV_RX INV_TX IOBase IOQueue IRQ_BREAK
IRQ_FALLING IRQ_RISING IRQ_RX IRQ_RXIDLE LITTLE_ENDIAN LONG LONGLONG Lock LockType Loop MBEDTLS_VERSION MONO_HLSB
MONO_HMSB MONO_VLSB MSG_DONTROUTE MSG_DONTWAIT MVLSB NATIVE NVS ONE_SHOT OPEN_DRAIN OUT OneWire OrderedDict PERIODIC
PM_NONE PM_PERFORMANCE PM_POWERSAVE POLLERR POLLHUP POLLIN POLLOUT PROTOCOL_DTLS_CLIENT PROTOCOL_DTLS_SERVER
PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER PTR PULL_DOWN PULL_UP PWM PWRON_RESET Partition Pin PinBase Queue RAW RGB565
RMT RTC RTS Response RingIO SHORT SOCK_DGRAM SOCK_RAW SOCK_STREAM SOFT_RESET SOL_SOCKET SO_BROADCAST SO_ERROR
SO_KEEPALIVE SO_LINGER SO_REUSEADDR SPI SSLContext STAT_CONNECTING STAT_GOT_IP STAT_IDLE STA_IF Semaphore Server
Signal SingletonGenerator SoftI2C SoftSPI Stream StreamReader StreamWriter StringIO TCSANOW TLSv1_2 Task TaskGroup
TaskQueue ThreadSafeFlag Timer UART UINT UINT16 UINT32 UINT64 UINT8 ULONG ULONGLONG ULP USHORT VOID VfsFat VfsLfs1
VfsLfs2 VfsPosix VfsRom ViperTypeError WAKE_HIGH WAKE_LOW WDT WDT_RESET WIDTH_12BIT WLAN ZLIB a2b_base64 abs accept
aclose acos acosh acquire active add add_done_callback add_note add_peer addressof aes airecv alarm alarm_left all
allocate_lock any append appendleft arecv args argv array as_bytearray as_completed as_integer_ratio asend asin
asinh asm_thumb at_eof atan atan2 atanh atexit atten awrite awritestr b2a_base64 basename bin bind bit_length
bitstream_rmt blit block bool bootloader buffer bytearray bytearray_at byteorder bytes bytes_at calcsize calibration
call_exception_handler callable callback can_write_eof cancel cancelled casefold cast ceil center channel_num
characters_written chdir check_hostname choice chr cipher classmethod clear clock clock_div close closed closefd
collect commit compile complex config conjugate connect const content copy copysign core coro coro_running cos cosh
count cr_await cr_frame cr_running crc32 crc8 create_task cur_task current_task data datetime decode decrypt
deepsleep default_exception_handler degrees deinit del_peer delattr delete deleter denominator deque detach dict
difference difference_update digest dir dirname disable disable_irq discard disconnect divmod done drain drive dump
dumps dupterm dupterm_notify duty duty_ns duty_u16 ellipse enable enable_irq encode encoding encrypt end endswith
ensure_future enumerate erase_key erf erfc errno errorcode eval event exc_info exception exec execfile executable
exists exit exp expandtabs expm1 extend fabs factorial fdel feed feed_data feed_eof fget filename fileno fill
fill_rect filter find float floor flush fmod format format_map freq frexp from_bytes fromhex fromisoformat fromkeys
frozenset fset func gamma gather get get_blob get_ciphers get_event_loop get_exception_handler get_extra_info
get_i32 get_ident get_name get_next get_peer get_peers get_running_loop get_update getaddrinfo getattr getcwd getenv
getmtime getpeercert getrandbits getter getvalue gi_frame gi_running globals gmtime hasattr hash head heap_lock
heap_locked heap_unlock heapify heappop heappush help hex hexlify high hline id idf_heap_info idle ifconfig ilistdir
imag implementation index inet_ntop inet_pton inf info init input insert int intersection intersection_update invert
io ioctl ipconfig ipoll irecv irq is_closing is_set isalnum isalpha isascii isatty isclose isconnected isdecimal
isdigit isdir isdisjoint isenabled isfile isfinite isidentifier isinf isinstance islower isnan isnumeric isprintable
isspace issubclass issubset issuperset istitle isupper items itemsize iter join json kbd_intr keys ldexp len lgamma
libc_ver library lightsleep line list listdir listen ljust load load_cert_chain load_verify_locations loads locals
localtime locked log log10 log2 loop low lower lstrip makefile maketrans map mark_app_valid_cancel_rollback match
max maximum_version maxsize mcu_temperature md5 mem16 mem32 mem8 mem_alloc mem_current mem_free mem_info mem_peak
mem_total memory memoryview min minimum_version mkdir mkfs mktime mod_peer mode modf modify modules monotonic
monotonic_ns mount msg name namedtuple nan native nbytes ndim new_event_loop new_task newlines next now ntptime
numerator obj object oct off on open open_connection opt_level ord out_buf pack pack_into partition patch path peek
peer_count peers_table pend_throw perf_counter phase pi pixel platform polar poll poller poly pop popitem popleft
post pow print print_exception property ps1 ps2 psk_identity psk_key push put putenv pystack_use python_compiler
qstr_info queue_read queue_write radians randint random randrange range raw_temperature read read_u16 read_uv
readbit readblocks readbyte readexactly readfrom readfrom_into readfrom_mem readfrom_mem_into readinto readline
readlines readonly readuntil real reason rect recv recv_into recvfrom recvinto register release remove removeprefix
removesuffix rename replace repr request reset reset_cause result reverse reversed rfind rindex rjust rmdir round
rpartition rsplit rstrip run run_forever run_until_complete scan schedule scroll search seed seek select select_rom
send sendall sendbreak sendto sep set set_blob set_boot set_ciphers set_exception_handler set_i32 set_name set_pmk
set_result setattr setblocking setdefault setraw setsockopt setter settimeout sha1 sha256 shape shield sin sinh
sizeof sleep sleep_ms sleep_us slice sockaddr socket soft_reset sort sorted source_freq split splitlines sqrt ssl
stack_size stack_use start start_new_thread start_server startswith stat state staticmethod stats status statvfs
stderr stdin stdout step stop str stream stream_awrite strerror strftime strides strip struct sub sum super swapcase
symmetric_difference symmetric_difference_update sync sys system tan tanh tau tcgetattr tcsetattr tell text
threshold throw ticks ticks_add ticks_cpu ticks_diff ticks_ms ticks_us time time_ns time_pulse_us timeout_ms title
to_bytes tobytes toggle tolist translate trunc truncate tuple txdone type umount unhexlify uniform union unique_id
unlink unpack unpack_from unregister unsetenv update upper urandom value values verify_code verify_message
verify_mode version version_info viper vline wait wait_closed wait_done wait_for wait_for_ms wait_io_event waiting
wake_on_ext0 wake_reason websocket width with_traceback wrap_socket write write_eof write_pulses write_readinto
writebit writeblocks writebyte writelines writeto writeto_mem writevto zfill zip
"""
OUTSIDE = frozenset(_WORDS.split())
